//! What is missing, by family, and where.

use std::collections::BTreeSet;

use super::Shown;
use super::grid::{Column, Grid};
use super::layout::{DIM, Page};
use crate::check::formats::words::plain;
use crate::event::{LossCause, unknown_kinds};
use crate::report::model::{Gap, Report};

/// Stretches that are shown; JSON has up to 100.
const GAPS: usize = 8;

/// The losses and the first stretches in which events are missing.
pub fn write(report: &Report, page: &mut Page) -> Shown {
    let losses = &report.losses;
    let causes = [&losses.lost, &losses.missed, &losses.dropped, &losses.unpaired];
    let families: BTreeSet<&String> = causes
        .iter()
        .flat_map(|counts| counts.iter().filter(|(_, count)| **count > 0).map(|(family, _)| family))
        .collect();
    if families.is_empty() && losses.gaps.is_empty() && losses.stacks_lost == 0 {
        return Shown::Nothing;
    }
    page.heading("Missing", "missing from the numbers above");
    if !families.is_empty() {
        let mut grid = Grid::new([
            Column::name("family"),
            Column::optional("lost", 4),
            Column::optional("missed", 3),
            Column::optional("dropped", 2),
            Column::optional("unpaired", 1),
        ]);
        for family in families {
            let mut cells = vec![family.clone()];
            cells.extend(causes.iter().map(|counts| match counts.get(family) {
                Some(count @ 1..) => count.to_string(),
                _ => String::new(),
            }));
            grid.row(cells);
        }
        page.grid(1, grid);
        let words = "lost: the ring was full; missed: the kernel skipped the program; dropped: user space, or a \
                     damaged file; unpaired: a call seen only at entry or only at return";
        page.prose(DIM, 1, words);
    }
    if losses.stacks_lost > 0 {
        page.plain(1, &format!("{} stacks could not be kept: their events have none", losses.stacks_lost));
    }
    let subject = &report.verdict.subject;
    if !subject.unknown_kinds.is_empty() {
        page.plain(1, &plain(&unknown_kinds(&subject.unknown_kinds, &subject.program_version)));
    }
    for gap in losses.gaps.iter().take(GAPS) {
        let text = self::gap(gap, page);
        page.plain(1, &text);
    }
    match losses.gaps.len().saturating_sub(GAPS) as u64 + losses.more_gaps {
        0 => {}
        more => page.plain(1, &format!("and {more} more such intervals")),
    }
    Shown::Yes
}

fn gap(gap: &Gap, page: &Page) -> String {
    let what = match gap.cause {
        LossCause::Lost => "lost",
        LossCause::Missed => "missed",
        LossCause::Dropped => "dropped",
    };
    let count = if gap.count == 0 { "an unknown number".to_owned() } else { gap.count.to_string() };
    let family = gap.family.map_or_else(String::new, |family| format!(" of {family}"));
    let from = page.time(gap.from);
    let to = gap.to.map_or_else(|| "the end".to_owned(), |to| page.time(to));
    format!("{count}{family} {what} between {from} and {to}")
}
