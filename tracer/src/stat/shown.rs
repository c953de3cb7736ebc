//! How counts are shown.

use super::counts::Losses;
use super::row::Sheet;
use super::{csv, json, text};
use crate::output::Notation;
use crate::overhead::{ProgramCost, by_program};

/// How, and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The notation.
    pub notation: Notation,
    /// Draw histograms (text only; the objects always have them, rows never).
    pub histograms: bool,
}

impl Shown {
    /// What comes before the first table of a session or file, which `is_cut` into intervals.
    pub(super) fn begin(self, sheet: &Sheet<'_>, is_cut: bool, out: &mut Vec<u8>) {
        match self.notation {
            Notation::Text => {}
            Notation::Json => json::begin(sheet, out),
            Notation::Csv(separator) => csv::begin(sheet.question, is_cut, separator, out),
        }
    }

    /// A table; the first one `begins`.
    pub(super) fn sheet(self, sheet: &Sheet<'_>, begins: bool, out: &mut Vec<u8>) {
        match self.notation {
            Notation::Text => text::sheet(sheet, begins, self.histograms, out),
            Notation::Json => json::sheet(sheet, out),
            Notation::Csv(separator) => csv::sheet(sheet, separator, out),
        }
    }

    /// What is missing, behind the last table. Rows have no place for it.
    pub(super) fn end(self, sheet: &Sheet<'_>, losses: &Losses, out: &mut Vec<u8>) {
        match self.notation {
            Notation::Text => text::end(sheet.question, losses, out),
            Notation::Json => json::end(losses, out),
            Notation::Csv(_) => {}
        }
    }

    /// What the programs themselves cost. Rows have no place for that either: the result is what a person is to be told
    /// instead, line by line.
    pub fn overhead(self, costs: &[ProgramCost], watched: u64) -> (String, Vec<String>) {
        match self.notation {
            Notation::Text => (by_program(costs, watched).join("\n") + "\n", Vec::new()),
            Notation::Json => (json::overhead(costs), Vec::new()),
            Notation::Csv(_) => (String::new(), by_program(costs, watched)),
        }
    }
}
