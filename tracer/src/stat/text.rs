//! Counts as tables for people.

use std::fmt::Write as _;

use super::cell::{Cell, QUANTILE_ERROR};
use super::counts::Losses;
use super::key::Key;
use super::question::{By, Of, Question};
pub use super::row::function;
use super::row::{Label, Sheet};
use crate::escape::escape;
use crate::output::{left, right, seconds, write_value};

/// Characters of the columns, titles included; of that of the event at least.
const EVENT: usize = 24;
const NUMBER: usize = 11;
/// Characters of a group where those that are still to come are not known.
const GROUP: usize = 24;
/// Most characters of a bar.
const BAR: usize = 40;
/// Frames of a stack that are shown.
const FRAMES: usize = 12;

/// A table: titles where it `begins`, and a row a group with what belongs to it.
pub fn sheet(sheet: &Sheet<'_>, begins: bool, histograms: bool, out: &mut Vec<u8>) {
    let groups: Vec<String> = sheet.rows.iter().map(|(key, _)| group(sheet, key)).collect();
    let title = match sheet.question.by {
        By::Event => String::new(),
        by => by.name().to_uppercase(),
    };
    let mut width = groups.iter().chain([&title]).map(|text| text.chars().count()).max().unwrap_or(0);
    if sheet.at.is_some() && sheet.question.by != By::Event {
        // The titles are there once, above all intervals.
        width = width.max(GROUP);
    }
    let names = sheet.rows.iter().map(|(key, _)| key.kind.name().len() + 1);
    let event = names.max().unwrap_or(0).max(EVENT);
    if begins {
        titles(sheet, &title, event, width, out);
    }
    for ((key, cell), group) in sheet.rows.iter().zip(&groups) {
        time(sheet, out);
        left(out, event, |out| out.extend_from_slice(key.kind.name().as_bytes()));
        if width > 0 {
            left(out, width + 1, |out| out.extend_from_slice(group.as_bytes()));
        }
        numbers(sheet, cell, out);
        out.push(b'\n');
        frames(sheet, key, out);
        if histograms {
            bars(cell, sheet.of(), out);
        }
    }
    if sheet.rows.is_empty() {
        time(sheet, out);
        out.extend_from_slice(b"nothing\n");
    }
}

fn time(sheet: &Sheet<'_>, out: &mut Vec<u8>) {
    if let Some(at) = sheet.at {
        right(out, 12, |out| seconds(out, at));
        out.push(b' ');
    }
}

fn titles(sheet: &Sheet<'_>, title: &str, event: usize, width: usize, out: &mut Vec<u8>) {
    if sheet.at.is_some() {
        out.extend_from_slice(b"     TIME(s) ");
    }
    left(out, event, |out| out.extend_from_slice(b"EVENT"));
    if width > 0 {
        left(out, width + 1, |out| out.extend_from_slice(title.as_bytes()));
    }
    let mut titles = vec!["COUNT".to_owned()];
    if sheet.span > 0 {
        titles.push("PER SECOND".to_owned());
    }
    if let Some(of) = sheet.of() {
        let unit = if of.is_time() { "(us)" } else { "" };
        if of.is_time() {
            titles.push("TOTAL(ms)".to_owned());
        } else {
            titles.push(of.name().to_uppercase());
        }
        titles.extend(["MEAN", "P50", "P90", "P99"].map(|title| format!("{title}{unit}")));
    }
    for title in titles {
        right(out, NUMBER.max(title.len() + 1), |out| out.extend_from_slice(title.as_bytes()));
    }
    out.push(b'\n');
}

fn numbers(sheet: &Sheet<'_>, cell: &Cell, out: &mut Vec<u8>) {
    let mut texts = vec![cell.count.to_string()];
    if sheet.span > 0 {
        texts.push(rate(cell.count, sheet.span));
    }
    if let Some(of) = sheet.of() {
        let has_values = cell.measured > 0;
        let total = if of.is_time() { format!("{:.3}", cell.sum as f64 / 1e6) } else { cell.sum.to_string() };
        texts.push(if has_values { total } else { "-".to_owned() });
        let quantiles = [0.5, 0.9, 0.99].map(|part| cell.quantile(part));
        texts.extend([cell.mean()].into_iter().chain(quantiles).map(|number| match number {
            Some(number) => value(number, of),
            None => "-".to_owned(),
        }));
    }
    for text in texts {
        right(out, NUMBER, |out| out.extend_from_slice(text.as_bytes()));
    }
}

fn value(number: u64, of: Of) -> String {
    if of.is_time() { format!("{:.3}", number as f64 / 1e3) } else { number.to_string() }
}

/// How often in a second.
fn rate(count: u64, span: u64) -> String {
    let rate = count as f64 / (span as f64 / 1e9);
    if rate < 99.95 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

/// Who or what a group is.
pub fn group(sheet: &Sheet<'_>, key: &Key) -> String {
    let mut out = Vec::new();
    match sheet.label(key) {
        Label::All => out.push(b'-'),
        Label::Other => out.extend_from_slice(b"(other)"),
        Label::Task(id, name) => {
            out.extend_from_slice(id.to_string().as_bytes());
            out.push(b' ');
            escape(&mut out, name.as_deref().unwrap_or("?"), false);
        }
        Label::Name(name) => escape(&mut out, name.as_deref().unwrap_or("?"), false),
        Label::Cpu(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Label::Stack(None) => out.push(b'?'),
        Label::Stack(Some((id, _))) => out.extend_from_slice(id.to_string().as_bytes()),
        Label::Field(field, number) => {
            sheet.value(field, number, |value| write_value(&mut out, value, false))
        }
    }
    if sheet.question.by == By::Event {
        out.clear();
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn frames(sheet: &Sheet<'_>, key: &Key, out: &mut Vec<u8>) {
    let Label::Stack(Some((_, frames))) = sheet.label(key) else { return };
    for frame in frames.iter().take(FRAMES) {
        out.extend_from_slice(b"        ");
        escape(out, &function(frame), false);
        out.push(b'\n');
    }
    if frames.len() > FRAMES {
        out.extend_from_slice(format!("        ... {} more\n", frames.len() - FRAMES).as_bytes());
    }
}

/// A bar for each power of two from the first to the last that is not empty.
fn bars(cell: &Cell, of: Option<Of>, out: &mut Vec<u8>) {
    let Some(of) = of else { return };
    let octaves = cell.octaves();
    let most = octaves.iter().map(|(_, _, count)| *count).max().unwrap_or(1);
    for (from, to, count) in octaves {
        let length = (count as f64 / most as f64 * BAR as f64).ceil() as usize;
        let line = format!(
            "    [{:>13}, {:>13}) {count:>11} |{:<BAR$}|\n",
            value(from, of),
            value(to, of),
            "@".repeat(length),
        );
        out.extend_from_slice(line.as_bytes());
    }
}

/// What is missing, and how good quantiles are.
pub fn end(question: Question, losses: &Losses, out: &mut Vec<u8>) {
    let mut text = String::new();
    let Losses { lost, missed, dropped, unpaired, stacks, other, has_gap, .. } = losses;
    let _ = write!(
        text,
        "\nlost {lost} (ring full)  missed {missed} (skipped by the kernel)  dropped {dropped}  unpaired {unpaired}"
    );
    if question.by != By::Event {
        let _ = write!(text, "  without a group of their own {other}");
    }
    if question.by == By::Stack {
        let _ = write!(text, "  stacks lost {stacks}");
    }
    if *has_gap {
        text.push_str("  and events whose number is not known");
    }
    text.push('\n');
    if question.of.is_some() {
        let _ = writeln!(text, "quantiles are up to {} % off", QUANTILE_ERROR * 100.0);
    }
    out.extend_from_slice(text.as_bytes());
}
