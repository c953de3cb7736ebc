//! What is known of one row, and what the keys do.

use ratatui::style::{Modifier, Style};

use super::model::Model;
use super::number::value;
use super::order::Column;
use super::screen::{Look, Sheet};
use super::table::text;

/// Characters of the longest bar of a histogram.
const BAR: usize = 40;

/// The last counts as so many characters, the newest at the right; a bar is as high as its part of the largest.
pub fn bars(counts: impl ExactSizeIterator<Item = u64>, width: usize, unicode: bool) -> String {
    let levels: &[char] = if unicode {
        &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']
    } else {
        &['.', ':', '-', '=', '+', '*', '#', '@']
    };
    let skipped = counts.len().saturating_sub(width);
    let counts: Vec<u64> = counts.skip(skipped).collect();
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let bar = |count: u64| match count {
        0 => ' ',
        _ => {
            let height = (count as f64 / most as f64 * levels.len() as f64).ceil() as usize;
            levels[height.clamp(1, levels.len()) - 1]
        }
    };
    counts.into_iter().map(bar).collect()
}

/// Everything of the row that is pointed at.
pub fn details(model: &Model, look: Look, sheet: &mut Sheet<'_>) {
    let rows = model.rows();
    let Some(row) = rows.get(model.place(&rows)) else {
        sheet.line("", Style::new());
        sheet.line(" This row is gone.", Style::new());
        return;
    };
    let plain = Style::new();
    sheet.line("", plain);
    sheet.line(&format!(" {}  {}", row.key.kind.name(), row.label), plain.add_modifier(Modifier::BOLD));
    let mut numbers = format!(" count {}", row.all.count);
    for (name, column) in
        [("per second", Column::Rate), ("mean", Column::Mean), ("p50", Column::P50), ("p99", Column::P99)]
    {
        if model.columns().contains(&column) {
            numbers += &format!("  {name} {}", text(model, row, column));
        }
    }
    sheet.line(&numbers, plain);
    let history = model.history(&row.key);
    let most = model.history(&row.key).max().unwrap_or(0);
    sheet.line(&format!(" the last {} intervals, at most {most}:", history.len()), plain);
    sheet.line(&format!(" |{}|", bars(history, 60, look.unicode)), plain);
    for frame in row.frames.iter().take(sheet.left().saturating_sub(2)) {
        sheet.line(&format!("   {frame}"), plain);
    }
    let Some(of) = model.view().question.of else { return };
    let octaves = row.all.octaves();
    let most = octaves.iter().map(|(_, _, count)| *count).max().unwrap_or(1).max(1);
    sheet.line(&format!(" {} since the beginning:", of.name()), plain);
    for (from, to, count) in octaves {
        let bar = "@".repeat((count as f64 / most as f64 * BAR as f64).ceil() as usize);
        sheet.line(&format!("  [{:>7}, {:>7}) {count:>11} |{bar}", value(from, of), value(to, of)), plain);
    }
}

const KEYS: &str = "
 q, Ctrl-C   quit; a command after `top --` is terminated
 space       freeze or resume the display; counting continues
 s, S        sort by the next or previous column;  r  reverse the order
 a           rates and values since the beginning or of the last interval
 /           show only rows with this text;  Esc  show all
 arrows      select a row (also j, k, page up, page down, home, end)
 Enter       details of the row: history, stack, histogram
 g, v        choose another key to group by, another value to sum up
 d           drill down: the row's event, of its process or thread
 u           back to the view before g, v or d

 g, v, d and u attach the probes anew: counting begins again, and what happens
 meanwhile is not counted. COUNT is since then; k, M, G are powers of 1000.
 lost: the ring was full. missed: the kernel skipped the program. dropped: this
 program could not take it. (other): counted, but in no group of its own.";

/// The keys, and what is to be known of the probes.
pub fn help(model: &Model, sheet: &mut Sheet<'_>) {
    KEYS.lines().for_each(|line| sheet.line(line, Style::new()));
    for note in model.notes.iter().take(sheet.left().saturating_sub(1)) {
        sheet.line(&format!(" {note}"), Style::new());
    }
}
