//! The flame graph of one profile.

use inferno::flamegraph::color::{BackgroundColor, Color as Rgb};
use inferno::flamegraph::{Direction, Options, TextTruncateDirection, from_lines};

use super::FlameError;
use super::names::{LOSSES, OTHER};
use super::noise::Noise;
use super::paint::{Frame, Lines, Piece, paint};
use super::palette::{self, Color};
use super::profile::Profile;
use super::tree::{Node, Tree};
use crate::event::Family;
use crate::event::Weight;
use crate::report::text::units;

/// How to draw.
#[derive(Clone, Debug, Default)]
pub struct Style {
    /// What frames are as wide as.
    pub weight: Weight,
    /// Draw callers above callees.
    pub inverted: bool,
    /// The title, where the weight alone does not say enough.
    pub title: Option<String>,
    /// What counts as a difference.
    pub noise: Noise,
}

/// Draws a flame graph: an SVG document with a script that zooms and searches. The same profile gives the same bytes.
///
/// # Errors
/// When nothing has the weight.
pub fn svg(profile: &Profile, style: &Style) -> Result<String, FlameError> {
    let weight = style.weight;
    let tree = Tree::new([profile, profile], weight, |[value, _]| value as u64);
    let whole = tree.width();
    let mut lines = Lines::default();
    profile.origin.iter().for_each(|origin| lines.text(origin));
    lines.text(total_line(profile, weight, whole));
    losses(profile, weight).into_iter().for_each(|line| lines.text(line));
    lines.push(legend(profile));
    let title = style.title.clone().unwrap_or_else(|| subject(weight).to_owned());
    lay_out(&tree, &title, style, &lines, |node| Frame {
        title: format!(
            "{} ({}, {:.2}%)",
            label(node),
            amount(weight, node.width as f64),
            100.0 * node.width as f64 / whole as f64
        ),
        fill: fill(profile, node),
    })
}

/// Lets inferno lay a tree out and gives its frames their words and colours.
pub fn lay_out(
    tree: &Tree,
    title: &str,
    style: &Style,
    lines: &Lines,
    frame: impl Fn(&Node) -> Frame,
) -> Result<String, FlameError> {
    if tree.width() == 0 {
        return Err(FlameError::Nothing(style.weight.name()));
    }
    let folded = tree.lines();
    let mut options = Options::default();
    title.clone_into(&mut options.title);
    style.weight.unit().clone_into(&mut options.count_name);
    "".clone_into(&mut options.name_type);
    options.deterministic = true;
    let Color(r, g, b) = palette::PAPER;
    options.bgcolors = Some(BackgroundColor::Flat(Rgb { r, g, b }));
    options.direction = if style.inverted { Direction::Inverted } else { Direction::Straight };
    options.text_truncate_direction = TextTruncateDirection::Right;
    // The order of the tree, not of the lines' bytes: `a.isra.0` would come between `a` and `a;b` and halve `a`. A
    // flame chart's lines are taken backwards and not sorted.
    options.flame_chart = true;
    let frame_height = options.frame_height;
    let mut svg = Vec::new();
    from_lines(&mut options, folded.iter().rev().map(String::as_str), &mut svg)?;
    let svg = String::from_utf8(svg).map_err(|error| FlameError::Svg(error.to_string()))?;
    paint(&svg, lines, frame_height, style.inverted, |depth, start| tree.at(depth, start).map(&frame))
}

/// What a frame is called.
pub fn label(node: &Node) -> &str {
    if node.depth == 0 { "all" } else { &node.name }
}

/// Whether the frame stands for events that were lost.
pub fn is_loss(node: &Node) -> bool {
    node.depth == 1 && LOSSES.contains(&&*node.name)
}

fn fill(profile: &Profile, node: &Node) -> Color {
    if is_loss(node) || node.name.starts_with("[stack ") {
        palette::LOSS
    } else if node.depth <= 1 {
        palette::THREAD
    } else if let Some(family) = profile.families.get(&node.name) {
        palette::family(*family)
    } else {
        palette::function(&node.name)
    }
}

/// What the widths mean.
pub fn subject(weight: Weight) -> &'static str {
    match weight {
        Weight::Count => "Events by kernel stack",
        Weight::Time => "Time in probed functions",
        Weight::Pages => "Pages by kernel stack",
        Weight::Bytes => "Bytes by kernel stack",
    }
}

/// A sum with its unit.
pub fn amount(weight: Weight, value: f64) -> String {
    if value > 0.0 && value < 10.0 && value.fract() != 0.0 {
        let digits = if value < 1.0 { format!("{value:.2e}") } else { format!("{value:.2}") };
        let unit = if weight == Weight::Time { "ns" } else { weight.unit() };
        return format!("{digits} {unit}");
    }
    let whole = value.round() as u64;
    match weight {
        Weight::Time => units::time(whole, true),
        Weight::Bytes => units::bytes(whole),
        Weight::Count => format!("{} {}", grouped(whole), if whole == 1 { "event" } else { "events" }),
        Weight::Pages => format!("{} {}", grouped(whole), if whole == 1 { "page" } else { "pages" }),
    }
}

/// A number with commas between thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn total_line(profile: &Profile, weight: Weight, whole: u64) -> String {
    let totals = profile.totals();
    let span = units::time(profile.duration(), true);
    let mut text = format!("{} in {span}", amount(Weight::Count, totals.count as f64));
    match weight {
        Weight::Count => {}
        Weight::Time if whole < totals.time => {
            text += &format!(
                "; {} in probed functions, those that others called counted once ({} in tables, which count both)",
                amount(weight, whole as f64),
                amount(weight, totals.time as f64)
            );
        }
        Weight::Time => text += &format!("; {} in probed functions", amount(weight, whole as f64)),
        Weight::Pages | Weight::Bytes => text += &format!("; {}", amount(weight, whole as f64)),
    }
    text
}

/// What is missing, one line each.
pub fn losses(profile: &Profile, weight: Weight) -> Vec<String> {
    let mut lines = Vec::new();
    let missing = profile.events_missing();
    if missing > 0 {
        let causes = LOSSES.iter().zip(profile.missing).filter(|(_, count)| *count > 0);
        let causes: Vec<String> = causes
            .map(|(name, count)| format!("{} {}", grouped(count), name.trim_matches(['[', ']'])))
            .collect();
        let shown = if weight == Weight::Count { "frames at the root" } else { "in no frame" };
        lines.push(format!(
            "{} are missing and {shown}: {}",
            amount(Weight::Count, missing as f64),
            causes.join(", ")
        ));
    }
    if profile.stackless > 0 {
        lines.push(format!(
            "{} without the stack that was taken",
            amount(Weight::Count, profile.stackless as f64)
        ));
    }
    lines.extend(profile.incomplete.iter().map(|reason| format!("the trace is not whole: {reason}")));
    lines
}

fn legend(profile: &Profile) -> Vec<Piece> {
    let mut families: Vec<Family> = profile.families.values().copied().collect();
    families.sort_by_key(|family| *family as u8);
    families.dedup();
    let mut pieces = vec![(Some(palette::THREAD), "thread".to_owned())];
    pieces.push((Some(palette::function("")), "function".to_owned()));
    if profile.events_missing() > 0 || profile.stackless > 0 {
        pieces.push((Some(palette::LOSS), "lost".to_owned()));
    }
    let probed = families
        .into_iter()
        .map(|family| (Some(palette::family(family)), format!("probed ({})", family.name())));
    pieces.extend(probed);
    if profile.sums.keys().any(|path| path.iter().any(|name| &**name == OTHER)) {
        pieces.push((None, format!("{OTHER}: over the bounds of memory")));
    }
    pieces
}
