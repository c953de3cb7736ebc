//! The flame graph of what changed between two profiles.

use super::FlameError;
use super::draw::{Style, amount, is_loss, label, lay_out, losses, subject};
use super::noise::{deviations, rates};
use super::paint::{Frame, Lines};
use super::palette;
use super::profile::Profile;
use super::tree::{Node, Tree};
use crate::report::weight::Weight;

/// What the two sides are related to before they are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Basis {
    /// Nothing: sums as they are.
    Raw,
    /// The time that was recorded.
    #[default]
    Second,
    /// The events of the trace, lost ones not among them.
    Event,
    /// The pages of all events.
    Page,
}

impl Basis {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Raw, Self::Second, Self::Event, Self::Page];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Second => "second",
            Self::Event => "event",
            Self::Page => "page",
        }
    }

    /// For people, after a number.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Raw => "",
            Self::Second => " per second",
            Self::Event => " per event of the trace",
            Self::Page => " per page",
        }
    }

    /// How much of it a trace has; 1 of nothing.
    pub fn exposure(self, profile: &Profile) -> f64 {
        match self {
            Self::Raw => 1.0,
            Self::Second => profile.duration() as f64 / 1e9,
            Self::Event => profile.totals().count as f64,
            Self::Page => profile.totals().pages as f64,
        }
    }

    fn both(self, before: &Profile, after: &Profile) -> Result<[f64; 2], FlameError> {
        let exposure = |side, profile| match self.exposure(profile) {
            exposure if exposure > 0.0 => Ok(exposure),
            _ => Err(FlameError::NoBasis { side, basis: self.name() }),
        };
        Ok([exposure("before", before)?, exposure("after", after)?])
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
/// When neither side has the weight, or one has nothing of the basis.
pub fn difference_svg(
    before: &Profile,
    after: &Profile,
    basis: Basis,
    style: &Style,
) -> Result<String, FlameError> {
    let weight = style.weight;
    let exposures = basis.both(before, after)?;
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
    let lines = lines(before, after, basis, style, exposures);
    let title = style.title.clone().unwrap_or_else(|| format!("rmapscope: change of {}", subject(weight)));
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
        Frame { title: words(node, weight, basis, exposures, beyond), fill }
    })
}

fn intensity(ratio: f64) -> f64 {
    ratio.ln() / DARKEST.ln()
}

/// A frame's name, its change where it is one, and the numbers of both sides.
fn words(node: &Node, weight: Weight, basis: Basis, exposures: [f64; 2], beyond: bool) -> String {
    let sides = node.sides;
    let relative = rates(sides, exposures);
    let side = |index: usize| {
        let absolute = amount(weight, sides[index].value);
        match basis {
            Basis::Raw => absolute,
            basis => format!("{absolute} = {}{}", amount(weight, relative[index]), basis.words()),
        }
    };
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

fn lines(before: &Profile, after: &Profile, basis: Basis, style: &Style, exposures: [f64; 2]) -> Lines {
    let weight = style.weight;
    let mut lines = Lines::default();
    for (name, profile) in [("before", before), ("after", after)] {
        let own: f64 = profile.own(weight).iter().map(|(_, own)| *own as f64).sum();
        let exposure = if name == "before" { exposures[0] } else { exposures[1] };
        let relative = match basis {
            Basis::Raw => String::new(),
            basis => format!(" = {}{}", amount(weight, own / exposure), basis.words()),
        };
        lines.text(format!("{name}: {}{relative}; {}", amount(weight, own), profile.origin.join("; ")));
        losses(profile, weight).into_iter().for_each(|line| lines.text(format!("{name}: {line}")));
    }
    let compared = match basis {
        Basis::Raw => "as they are",
        Basis::Second => "per second that was recorded",
        Basis::Event => "per event of their trace",
        Basis::Page => "per page of all events",
    };
    lines.text(format!(
        "The sides are compared {compared}. Each path is as wide as the larger side, so that what is gone keeps its place."
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
