//! The table: a row an event of a group.

use ratatui::style::{Modifier, Style};

use super::details;
use super::model::{Model, State};
use super::number::{rate, value};
use super::order::Column;
use super::sample::Row;
use super::screen::{Look, Sheet};
use crate::stat::Of;

/// Characters of a number.
const NUMBER: usize = 8;
/// The same of a count, which is exact.
const COUNT: usize = 11;
/// Fewest characters of a group where it needs them, and most of an event.
const GROUP: usize = 16;
const EVENT: usize = 24;
/// Characters of a group where none needs more.
const FEWEST: usize = 12;
/// Columns of a terminal from which on the median is shown, too.
const WIDE: usize = 96;

/// The heading of a column.
pub fn title(model: &Model, column: Column) -> String {
    let question = model.view().question;
    match column {
        Column::Event => "EVENT".to_owned(),
        Column::Group => question.by.name().to_uppercase(),
        Column::Rate => "PER SEC".to_owned(),
        Column::Count => "COUNT".to_owned(),
        Column::Sum => match question.of {
            Some(of) if of.is_time() => "TIME/S".to_owned(),
            Some(Of::Bytes) => "BYTES/S".to_owned(),
            Some(Of::Pages) => "PAGES/S".to_owned(),
            _ => "SUM/S".to_owned(),
        },
        Column::Mean => "MEAN".to_owned(),
        Column::P50 => "P50".to_owned(),
        Column::P99 => "P99".to_owned(),
    }
}

/// What a row has in a column.
pub fn text(model: &Model, row: &Row, column: Column) -> String {
    let (cell, span) = model.measured(row);
    let of = model.view().question.of;
    // Without a value these columns are not there.
    let value = |number: Option<u64>| number.zip(of).map_or("-".to_owned(), |(number, of)| value(number, of));
    match column {
        Column::Event => row.key.kind.name().to_owned(),
        Column::Group => row.label.clone(),
        Column::Rate => rate(cell.count, span),
        Column::Count => row.all.count.to_string(),
        Column::Sum => value((cell.measured > 0).then(|| (cell.sum as f64 * 1e9 / span as f64) as u64)),
        Column::Mean => value(cell.mean()),
        Column::P50 => value(cell.quantile(0.5)),
        Column::P99 => value(cell.quantile(0.99)),
    }
}

/// Cuts text to so many characters, and says so.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['~']).collect()
}

/// Draws the rows that there is room for, around the one that is pointed at.
pub fn table(model: &Model, look: Look, width: usize, sheet: &mut Sheet<'_>) {
    let rows = model.rows();
    let mut columns = model.columns();
    columns.retain(|column| *column != Column::P50 || width >= WIDE || model.sort == Column::P50);
    let numbers = |column: &Column| match column {
        Column::Event | Column::Group => 0,
        Column::Count => COUNT,
        _ => NUMBER,
    };
    let longest = |text: &dyn Fn(&Row) -> usize| rows.iter().map(|row| text(row)).max().unwrap_or(0);
    let events = longest(&|row| row.key.kind.name().len()).clamp(5, EVENT);
    let labels = longest(&|row| row.label.chars().count()).max(title(model, Column::Group).len()).max(FEWEST);
    let rest = width.saturating_sub(1 + columns.iter().map(numbers).sum::<usize>());
    let has_groups = columns.contains(&Column::Group);
    let event = if has_groups { events.min(rest.saturating_sub(labels.min(GROUP) + 2)) } else { EVENT };
    let group = if has_groups { rest.saturating_sub(event + 2).min(labels) } else { 0 };
    let used = width.saturating_sub(rest) + event + if has_groups { group + 2 } else { 0 };
    let history = width.saturating_sub(used + 2).min(60);
    let line = |marker: char, text: &dyn Fn(Column) -> String| {
        let mut line = String::from(marker);
        for column in &columns {
            match column {
                Column::Event => line += &format!("{:<event$}", cut(&text(*column), event)),
                Column::Group => line += &format!("  {:<group$}", cut(&text(*column), group)),
                _ => line += &format!("{:>1$}", text(*column), numbers(column)),
            }
        }
        line
    };
    let mut heading = line(' ', &|column| title(model, column));
    if history >= 10 {
        heading += "  HISTORY";
    }
    sheet.line(&format!("{heading:<width$}"), Style::new().add_modifier(Modifier::REVERSED));
    if rows.is_empty() {
        let why = match model.state {
            State::Attaching => " Probes are being attached.",
            _ if !model.has_sample() => " Waiting for the first interval.",
            _ if model.filter.is_empty() => " Nothing came.",
            _ => " No row matches; Esc shows all.",
        };
        sheet.line(why, Style::new());
    }
    let (at, page) = (model.place(&rows), sheet.left().saturating_sub(2));
    let first = (at + 1).saturating_sub(page);
    for (place, row) in rows.iter().enumerate().skip(first).take(page) {
        let is_selected = place == at;
        let style = if is_selected { Style::new().add_modifier(Modifier::BOLD) } else { Style::new() };
        let mut line = line(if is_selected { '>' } else { ' ' }, &|column| text(model, row, column));
        if history >= 10 {
            line += "  ";
            line += &details::bars(model.history(&row.key), history, look.unicode);
        }
        sheet.line(&line, style);
    }
}
