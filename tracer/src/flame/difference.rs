//! The flame graph of what changed between two profiles.

use super::FlameError;
use super::draw::{Style, amount, is_loss, label, lay_out, losses, subject};
use super::noise::{deviations, rates};
use super::paint::{Frame, Lines};
use super::palette;
use super::profile::Profile;
use super::tree::{Node, Tree};
use crate::event::Weight;

/// What the two sides are related to before they are compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Basis {
    per: String,
    exposures: [f64; 2],
}

impl Basis {
    /// Numbers per one of these, such as `second` or `run`; the sides have so many of them.
    ///
    /// # Errors
    /// When a side has none.
    pub fn new(per: &str, exposures: [f64; 2]) -> Result<Self, FlameError> {
        for (side, exposure) in ["before", "after"].into_iter().zip(exposures) {
            if !(exposure.is_finite() && exposure > 0.0) {
                return Err(FlameError::NoBasis { side, basis: per.to_owned() });
            }
        }
        Ok(Self { per: per.to_owned(), exposures })
    }

    /// Sums as they are.
    pub fn raw() -> Self {
        Self { per: String::new(), exposures: [1.0; 2] }
    }

    /// Numbers per second that was recorded.
    ///
    /// # Errors
    /// When a side has no time.
    pub fn second(before: &Profile, after: &Profile) -> Result<Self, FlameError> {
        Self::new("second", [before, after].map(|profile| profile.duration() as f64 / 1e9))
    }

    /// Numbers per event of any kind, lost ones not among them.
    ///
    /// # Errors
    /// When a side has none.
    pub fn event(before: &Profile, after: &Profile) -> Result<Self, FlameError> {
        Self::new("event", [before, after].map(|profile| profile.totals().count as f64))
    }

    /// Numbers per page of all events.
    ///
    /// # Errors
    /// When a side has none.
    pub fn page(before: &Profile, after: &Profile) -> Result<Self, FlameError> {
        Self::new("page", [before, after].map(|profile| profile.totals().pages as f64))
    }

    fn is_raw(&self) -> bool {
        self.per.is_empty()
    }

    /// For people, after a number that it is not of.
    fn related(&self, weight: Weight, value: f64) -> String {
        if self.is_raw() { String::new() } else { format!(" = {} per {}", amount(weight, value), self.per) }
    }
}

/// Widths are whole numbers: the whole graph has about as many units.
const UNITS: f64 = 1e9;
/// Ratio of the two sides at which the colour is darkest.
const DARKEST: f64 = 4.0;

/// Draws what changed from `before` to `after`. Each path is as wide as the larger of its two sides, so that what
/// vanished keeps its place; each frame is coloured by all that lies above it, and grey where chance explains it.
///
/// # Errors
/// When neither side has the weight.
pub fn difference_svg(
    before: &Profile,
    after: &Profile,
    basis: &Basis,
    style: &Style,
) -> Result<String, FlameError> {
    let weight = style.weight;
    let exposures = basis.exposures;
    let larger = |[before, after]: [f64; 2]| (before / exposures[0]).max(after / exposures[1]);
    let whole: f64 = [before, after]
        .into_iter()
        .zip(exposures)
        .map(|(profile, exposure)| {
            profile.own(weight).iter().map(|(_, own)| *own as f64).sum::<f64>() / exposure
        })
        .fold(0.0, f64::max);
    if whole <= 0.0 {
        return Err(FlameError::Nothing(weight.name()));
    }
    let width =
        |own| if larger(own) > 0.0 { ((larger(own) / whole * UNITS).round() as u64).max(1) } else { 0 };
    let tree = Tree::new([before, after], weight, width);
    let lines = lines(before, after, basis, style);
    let title = style.title.clone().unwrap_or_else(|| format!("{}: what changed", subject(weight)));
    lay_out(&tree, &title, style, &lines, |node| {
        let beyond = style.noise.is_beyond(node.sides, exposures);
        let [before, after] = rates(node.sides, exposures);
        let fill = if is_loss(node) {
            palette::LOSS_IN_DIFFERENCE
        } else if !beyond {
            palette::NOISE
        } else if after > before {
            palette::shade(palette::MORE, intensity(after / before))
        } else {
            palette::shade(palette::LESS, intensity(before / after))
        };
        Frame { title: words(node, weight, basis, beyond), fill }
    })
}

fn intensity(ratio: f64) -> f64 {
    ratio.ln() / DARKEST.ln()
}

/// A frame's name, its change where it is one, and the numbers of both sides.
fn words(node: &Node, weight: Weight, basis: &Basis, beyond: bool) -> String {
    let exposures = basis.exposures;
    let sides = node.sides;
    let relative = rates(sides, exposures);
    let side = |index: usize| amount(weight, sides[index].value) + &basis.related(weight, relative[index]);
    let change = match relative {
        [0.0, _] => "new".to_owned(),
        [_, 0.0] => "gone".to_owned(),
        [before, after] if after >= 10.0 * before => format!("×{:.0}", after / before),
        [before, after] => format!("{:+.0}%", 100.0 * (after / before - 1.0)),
    };
    let shown = if beyond && !is_loss(node) { format!(" {change}") } else { String::new() };
    let verdict = if beyond { "" } else { ", within noise" };
    format!(
        "{}{shown} (before {}, after {}: {change}, z {:+.1}{verdict})",
        label(node),
        side(0),
        side(1),
        deviations(sides, exposures)
    )
}

fn lines(before: &Profile, after: &Profile, basis: &Basis, style: &Style) -> Lines {
    let weight = style.weight;
    let mut lines = Lines::default();
    for (index, (name, profile)) in [("before", before), ("after", after)].into_iter().enumerate() {
        let own: f64 = profile.own(weight).iter().map(|(_, own)| *own as f64).sum();
        let related = basis.related(weight, own / basis.exposures[index]);
        lines.text(format!("{name}: {}{related}; {}", amount(weight, own), profile.origin.join("; ")));
        losses(profile, weight).into_iter().for_each(|line| lines.text(format!("{name}: {line}")));
    }
    let compared = if basis.is_raw() { "as they are".to_owned() } else { format!("per {}", basis.per) };
    lines.text(format!(
        "The sides are compared {compared}. Each path is as wide as its larger side, so that removed paths keep their \
         place."
    ));
    let noise = style.noise;
    let mut pieces = vec![
        (Some(palette::shade(palette::MORE, 1.0)), format!("more after: dark from {DARKEST}-fold, or new")),
        (Some(palette::shade(palette::LESS, 1.0)), format!("less after: dark from 1/{DARKEST}, or gone")),
        (
            Some(palette::NOISE),
            format!(
                "noise: |z| below {} with independent events, or changed by less than {:.0}%",
                noise.deviations,
                100.0 * noise.least_change
            ),
        ),
    ];
    if before.events_missing() + after.events_missing() > 0 {
        pieces.push((Some(palette::LOSS_IN_DIFFERENCE), "lost events".to_owned()));
    }
    lines.push(pieces);
    lines
}
