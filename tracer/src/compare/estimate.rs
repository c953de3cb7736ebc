//! What one run tells of a quantity, with the noise that is seen inside of the run.

use super::basis::Basis;
use super::histogram::{Histogram, quantile};
use super::quantity::Quantity;
use super::sample::{Calls, Run, Slice};
use crate::event::{Family, Kind, place, total};

/// Samples of the bootstrap. The standard error that it gives is then known to 5 %.
const REPLICATES: usize = 200;

/// The seed of the bootstrap: the same files give the same answer.
const SEED: u64 = 0x726d_6170;

/// Fewest values beyond a quantile for which its noise can be told.
const BEYOND: f64 = 5.0;

/// Fewest blocks for a variance.
const FEWEST: usize = 4;

/// Part of the calls whose loss makes a mean worthless: the missing ones may be the longest.
const MEAN_LOSS: f64 = 0.01;

/// A quantity of one run. Noise is that of the natural logarithm, so that differences are ratios.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Variance of its logarithm that is seen inside of the run; `None` when the run does not tell.
    pub variance: Option<f64>,
    /// Degrees of freedom of the variance.
    pub freedom: f64,
    /// What the variance between runs is at the least. Counts over time vary with the phases of the work, which are
    /// the same in every run: then it is less than [`variance`](Self::variance).
    pub least: f64,
    /// How much larger its logarithm can be for what is missing.
    pub up: f64,
    /// How much smaller.
    pub down: f64,
}

impl Estimate {
    /// A plain number.
    const fn exact(value: f64) -> Self {
        Self { value, variance: None, freedom: 1.0, least: 0.0, up: 0.0, down: 0.0 }
    }
}

/// The quantity of a run; `None` when the run has no such event, or did not measure it.
pub fn estimate(run: &Run, kind: Kind, quantity: Quantity, basis: Basis) -> Option<Estimate> {
    let place = place(kind);
    match quantity {
        Quantity::Count => {
            let count = Some(run.count(place)).filter(|count| *count > 0)? as f64;
            let up = (run.missing.of_family(kind.family()) as f64 / count).ln_1p();
            Some(Estimate { least: 1.0 / count, up, ..Estimate::exact(count) })
        }
        Quantity::Max => {
            let longest = *run.longest.get(&place)? as f64;
            // A call that is missing may have been the longest.
            let up = if run.missing_part(kind.family()) > 0.0 { f64::INFINITY } else { 0.0 };
            Some(Estimate { up, ..Estimate::exact(longest) })
        }
        Quantity::Rate => by_time(run, kind, basis, |slice| slice.counts[place]),
        Quantity::Time => {
            run.calls.get(&place)?;
            let mut estimate = by_time(run, kind, basis, |slice| slice.times[place])?;
            estimate.least += self::estimate(run, kind, Quantity::Mean, basis)?.least;
            if run.missing_part(kind.family()) > MEAN_LOSS {
                estimate.up = f64::INFINITY;
            }
            Some(estimate)
        }
        Quantity::Mean => {
            let calls = run.calls.get(&place)?;
            let sums: Vec<f64> = calls.iter().map(|calls| calls.sum as f64).collect();
            let counts: Vec<f64> = calls.iter().map(|calls| calls.count as f64).collect();
            let mut estimate = ratio(&sums, &counts)?;
            if run.missing_part(kind.family()) > MEAN_LOSS {
                (estimate.up, estimate.down) = (f64::INFINITY, f64::INFINITY);
            }
            Some(estimate)
        }
        Quantity::Quantile(part) => {
            let calls = run.calls.get(&place)?;
            Some(of_quantile(calls, part, run.missing_part(kind.family())))
        }
    }
}

/// A sum by the basis, from slices of time.
fn by_time(run: &Run, kind: Kind, basis: Basis, number: impl Fn(&Slice) -> u64) -> Option<Estimate> {
    let numbers: Vec<f64> = run.slices.iter().map(|slice| number(slice) as f64).collect();
    let slices = run.slices.len().max(1) as f64;
    let all = |value: f64| vec![value / slices; run.slices.len()];
    let divisors: Vec<f64> = match basis {
        Basis::Run => all(1.0),
        Basis::Second => all(run.duration as f64 / 1e9),
        Basis::Event => run.slices.iter().map(|slice| slice.events as f64).collect(),
        Basis::Page => run.slices.iter().map(|slice| slice.pages as f64).collect(),
        Basis::Kind(of) => run.slices.iter().map(|slice| slice.counts[place(of)] as f64).collect(),
    };
    let mut estimate = ratio(&numbers, &divisors)?;
    if basis == Basis::Run {
        // Exactly, so that equal counts are equal.
        estimate.value = numbers.iter().sum();
    }
    let count = run.count(place(kind)) as f64;
    // Fewer events than make a pattern are at least as uncertain as a Poisson count.
    estimate.least = 1.0 / count;
    estimate.variance = estimate.variance.map(|variance| variance.max(estimate.least));
    estimate.up = (run.missing.of_family(kind.family()) as f64 / count).ln_1p();
    estimate.down = match basis {
        Basis::Run | Basis::Second => 0.0,
        Basis::Event | Basis::Page => {
            let missing = Family::ALL.map(|family| run.missing.of_family(family));
            let seen: u64 = run.seen.iter().sum();
            (total(missing) as f64 / seen as f64).ln_1p()
        }
        Basis::Kind(of) => (run.missing.of_family(of.family()) as f64 / run.count(place(of)) as f64).ln_1p(),
    };
    Some(estimate)
}

/// The ratio of two sums over blocks and the variance of its logarithm from the blocks' residuals (W. Cochran,
/// "Sampling Techniques", 1977, 6.3).
fn ratio(numbers: &[f64], divisors: &[f64]) -> Option<Estimate> {
    let (sum, divisor): (f64, f64) = (numbers.iter().sum(), divisors.iter().sum());
    if sum <= 0.0 || divisor <= 0.0 {
        return None;
    }
    let value = sum / divisor;
    let residuals: Vec<f64> =
        numbers.iter().zip(divisors).map(|(number, divisor)| number - value * divisor).collect();
    let blocks = residuals.len();
    let variance = (blocks >= FEWEST).then(|| {
        let squares: f64 = residuals.iter().map(|residual| residual * residual).sum();
        let blocks = blocks as f64;
        squares * blocks / (blocks - 1.0) / (sum * sum) * inflation(&residuals)
    });
    let least = variance.unwrap_or_default();
    Some(Estimate { variance, freedom: (blocks.max(2) - 1) as f64, least, ..Estimate::exact(value) })
}

/// By how much neighbours that resemble each other widen a variance: the limit for an autoregressive process of
/// order 1. Neighbours that differ more than by chance do not narrow it.
fn inflation(residuals: &[f64]) -> f64 {
    let squares: f64 = residuals.iter().map(|residual| residual * residual).sum();
    let products: f64 = residuals.windows(2).map(|pair| pair[0] * pair[1]).sum();
    let correlation = if squares > 0.0 { (products / squares).clamp(0.0, 0.8) } else { 0.0 };
    (1.0 + correlation) / (1.0 - correlation)
}

/// A quantile of calls of which a part is missing, with its bootstrapped variance.
fn of_quantile(calls: &[Calls], part: f64, missing: f64) -> Estimate {
    let mut whole = Histogram::default();
    calls.iter().for_each(|calls| whole.merge(&calls.histogram));
    let value = whole.quantile(part);
    let count: u64 = calls.iter().map(|calls| calls.count).sum();
    let log_to = |other: f64| (other.max(1.0) / value.max(1.0)).ln().abs();
    let highest = part / (1.0 - missing);
    let lowest = (part - missing) / (1.0 - missing);
    let (up, down) = match missing > 0.0 {
        false => (0.0, 0.0),
        true => (
            if highest < 1.0 { log_to(whole.quantile(highest)) } else { f64::INFINITY },
            if lowest > 0.0 { log_to(whole.quantile(lowest)) } else { f64::INFINITY },
        ),
    };
    let enough = count as f64 * part.min(1.0 - part) >= BEYOND && calls.len() >= FEWEST;
    let variance = enough.then(|| {
        let exceeding: Vec<f64> = calls.iter().map(|calls| exceedance(calls, value, part)).collect();
        bootstrap(calls, &whole, part) * inflation(&exceeding)
    });
    let (freedom, least) = ((calls.len().max(2) - 1) as f64, variance.unwrap_or_default());
    Estimate { value, variance, freedom, least, up, down }
}

/// How many more calls of a block exceed the quantile than should.
fn exceedance(calls: &Calls, value: f64, part: f64) -> f64 {
    let above: u32 = calls
        .histogram
        .buckets()
        .filter(|(bucket, _)| super::histogram::middle(*bucket) > value)
        .map(|(_, count)| count)
        .sum();
    f64::from(above) - calls.count as f64 * (1.0 - part)
}

/// Variance of the quantile's logarithm over samples of whole blocks, drawn with replacement.
fn bootstrap(calls: &[Calls], whole: &Histogram, part: f64) -> f64 {
    let buckets: Vec<u16> = whole.buckets().map(|(bucket, _)| bucket).collect();
    let blocks: Vec<Vec<(usize, f64)>> = calls
        .iter()
        .map(|calls| {
            let place = |bucket| buckets.binary_search(&bucket).unwrap_or_default();
            calls.histogram.buckets().map(|(bucket, count)| (place(bucket), f64::from(count))).collect()
        })
        .collect();
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut sums: Vec<(u16, f64)> = buckets.iter().map(|bucket| (*bucket, 0.0)).collect();
    let logarithms: Vec<f64> = (0..REPLICATES)
        .map(|_| {
            sums.iter_mut().for_each(|(_, count)| *count = 0.0);
            for _ in 0..blocks.len() {
                for (place, count) in &blocks[random.usize(..blocks.len())] {
                    sums[*place].1 += count;
                }
            }
            quantile(&sums, part).max(1.0).ln()
        })
        .collect();
    // What is drawn varies about its own mean, not about the truth: k / (k - 1) of blocks.
    let blocks = blocks.len() as f64;
    variance(&logarithms) * blocks / (blocks - 1.0)
}

/// The variance of a sample of two or more.
pub fn variance(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / (count - 1.0)
}
