//! Whether two sides differ by more than noise.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::estimate::{Estimate, variance};

/// The answer for one quantity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "word", content = "because")]
pub enum Verdict {
    /// The whole interval is inside of the floor.
    Same,
    /// Calls take less time, beyond noise.
    Faster,
    /// Calls take more time, beyond noise.
    Slower,
    /// There is more of it, beyond noise.
    More,
    /// There is less of it, beyond noise.
    Fewer,
    /// Only the second side has any.
    Appeared,
    /// Only the first side has any.
    Vanished,
    /// The difference, if there is one, is not beyond noise.
    Unclear,
    /// The sides cannot be compared: why.
    Incomparable(String),
}

impl Verdict {
    /// The word in every output.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::More => "more",
            Self::Fewer => "fewer",
            Self::Appeared => "appeared",
            Self::Vanished => "vanished",
            Self::Unclear => "unclear",
            Self::Incomparable(_) => "incomparable",
        }
    }

    /// Whether it is a difference beyond noise.
    pub const fn is_difference(&self) -> bool {
        matches!(self, Self::Faster | Self::Slower | Self::More | Self::Fewer)
    }
}

/// The difference of two sides as ratios of the second to the first, less one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Of the geometric means.
    pub change: f64,
    /// Lower end of the confidence interval of this quantity alone, noise and missing events together; `None` when
    /// nothing bounds it or the noise is unknown.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Chance of such a difference, or a larger one, when the truth is within the floor; `None` when the noise is
    /// unknown.
    pub p: Option<f64>,
    /// Whether noise between runs is part of it.
    pub between_runs: bool,
}

/// Noise of the difference of two logarithms.
struct Noise {
    error: f64,
    freedom: f64,
}

/// The mean of a side's logarithms, and how far missing events can move it up and down.
fn center(side: &[Estimate]) -> (f64, f64, f64) {
    let count = side.len() as f64;
    let mean = |each: fn(&Estimate) -> f64| side.iter().map(each).sum::<f64>() / count;
    (
        mean(|estimate| estimate.value.max(f64::MIN_POSITIVE).ln()),
        mean(|estimate| estimate.up),
        mean(|estimate| estimate.down),
    )
}

/// The geometric mean of a side.
pub fn middle(side: &[Estimate]) -> f64 {
    match side {
        [one] => one.value,
        [first, rest @ ..] if rest.iter().all(|estimate| estimate.value == first.value) => first.value,
        _ => center(side).0.exp(),
    }
}

/// Compares two sides, neither of them empty. `floor` is the ratio less one up to which sides count as the same.
pub fn change(before: &[Estimate], after: &[Estimate], floor: f64, confidence: f64) -> Change {
    let (a, up_a, down_a) = center(before);
    let (b, up_b, down_b) = center(after);
    let difference = b - a;
    let noise = noise(before, after);
    let between_runs = before.len() + after.len() > 2;
    let ratio =
        |logarithm: f64| Some(logarithm.exp_m1()).filter(|ratio| ratio.is_finite() && logarithm.is_finite());
    let Some(noise) = noise else {
        return Change { change: difference.exp_m1(), low: None, high: None, p: None, between_runs };
    };
    let reach = noise.error * student(noise.freedom).inverse_cdf(f64::midpoint(1.0, confidence));
    // What is missing of the first side makes the difference smaller, of the second larger; and the reverse.
    let (lower, higher) = (up_a + down_b, up_b + down_a);
    let doubt = if difference > 0.0 { lower } else { higher };
    Change {
        change: difference.exp_m1(),
        low: ratio(difference - lower - reach),
        high: ratio(difference + higher + reach),
        p: Some(chance(difference.abs() - doubt - floor.ln_1p(), &noise)),
        between_runs,
    }
}

/// Chance of an excess as large as this on either side.
fn chance(excess: f64, noise: &Noise) -> f64 {
    if excess <= 0.0 || !excess.is_finite() {
        return 1.0;
    }
    if noise.error <= 0.0 {
        return 0.0;
    }
    (2.0 * student(noise.freedom).sf(excess / noise.error)).min(1.0)
}

fn student(freedom: f64) -> StudentsT {
    StudentsT::new(0.0, 1.0, freedom.max(1.0))
        .unwrap_or_else(|_| unreachable!("at least 1 degree of freedom"))
}

/// The noise of the difference: between runs where there are more than one a side, never less than inside of them.
fn noise(before: &[Estimate], after: &[Estimate]) -> Option<Noise> {
    let within = |side: &[Estimate]| -> Option<(f64, f64)> {
        let count = side.len() as f64;
        let sum: f64 = side.iter().map(|estimate| estimate.variance).sum::<Option<f64>>()?;
        let freedom: f64 = side.iter().map(|estimate| estimate.freedom).sum();
        Some((sum / (count * count), freedom))
    };
    let (a, b) = (within(before), within(after));
    let inside = a.zip(b).map(|((a, freedom_a), (b, freedom_b))| {
        // Welch and Satterthwaite.
        let divisor = a * a / freedom_a + b * b / freedom_b;
        let freedom = if divisor > 0.0 { (a + b) * (a + b) / divisor } else { freedom_a + freedom_b };
        Noise { error: (a + b).sqrt(), freedom }
    });
    let freedom = (before.len() + after.len()) as f64 - 2.0;
    if freedom < 1.0 {
        return inside;
    }
    let squares = |side: &[Estimate]| {
        if side.len() > 1 { variance(&logarithms(side)) * (side.len() - 1) as f64 } else { 0.0 }
    };
    let pooled = (squares(before) + squares(after)) / freedom;
    let between = pooled * (1.0 / before.len() as f64 + 1.0 / after.len() as f64);
    Some(Noise { error: between.max(least(before) + least(after)).sqrt(), freedom })
}

/// Chance that a side which is truly at a limit, above 0, is as far from it as it is; 1 when its noise is unknown.
pub fn beyond(side: &[Estimate], limit: f64) -> f64 {
    let (center, up, down) = center(side);
    let count = side.len() as f64;
    let noise = if side.len() > 1 {
        let between = variance(&logarithms(side)) / count;
        Noise { error: between.max(least(side)).sqrt(), freedom: count - 1.0 }
    } else {
        let [Estimate { variance: Some(variance), freedom, .. }] = side else { return 1.0 };
        Noise { error: variance.sqrt(), freedom: *freedom }
    };
    let difference = center - limit.max(f64::MIN_POSITIVE).ln();
    let doubt = if difference > 0.0 { down } else { up };
    chance(difference.abs() - doubt, &noise)
}

/// The least variance of a side's mean.
fn least(side: &[Estimate]) -> f64 {
    let count = side.len() as f64;
    side.iter().map(|estimate| estimate.least).sum::<f64>() / (count * count)
}

fn logarithms(side: &[Estimate]) -> Vec<f64> {
    side.iter().map(|estimate| estimate.value.max(f64::MIN_POSITIVE).ln()).collect()
}

/// Holm's method: the chances, each raised so that it can be held against the level of the whole family.
pub fn holm(chances: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..chances.len()).collect();
    order.sort_by(|a, b| chances[*a].total_cmp(&chances[*b]));
    let mut adjusted = vec![1.0; chances.len()];
    let mut highest: f64 = 0.0;
    for (rank, place) in order.into_iter().enumerate() {
        highest = highest.max(chances[place] * (chances.len() - rank) as f64).min(1.0);
        adjusted[place] = highest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(values: &[f64]) -> Vec<Estimate> {
        let estimate = |value: &f64| Estimate {
            value: *value,
            variance: Some(1e-4),
            freedom: 20.0,
            least: 1e-4,
            up: 0.0,
            down: 0.0,
        };
        values.iter().map(estimate).collect()
    }

    #[test]
    fn holm_is_that_of_the_book() {
        assert_eq!(holm(&[0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02]);
        assert_eq!(holm(&[]), Vec::<f64>::new());
    }

    #[test]
    fn runs_that_differ_among_themselves_hide_a_difference() {
        let one = change(&runs(&[100.0]), &runs(&[120.0]), 0.0, 0.95);
        assert!(one.p.unwrap() < 1e-6 && !one.between_runs);
        let several = change(&runs(&[100.0, 125.0, 90.0]), &runs(&[120.0, 95.0, 130.0]), 0.0, 0.95);
        assert!(several.p.unwrap() > 0.2 && several.between_runs);
        assert!(several.low.unwrap() < 0.0 && several.high.unwrap() > 0.0);
    }

    #[test]
    fn what_is_missing_widens_to_its_side_only() {
        let mut before = runs(&[100.0]);
        before[0].up = 0.5;
        let whole = change(&runs(&[100.0]), &runs(&[120.0]), 0.0, 0.95);
        let lossy = change(&before, &runs(&[120.0]), 0.0, 0.95);
        assert!(lossy.low < whole.low && lossy.high == whole.high && lossy.p == Some(1.0));
        before[0].up = f64::INFINITY;
        assert_eq!(change(&before, &runs(&[120.0]), 0.0, 0.95).low, None);
    }
}
