//! The columns, and the order of the rows.

use std::cmp::Ordering;

use super::model::Model;
use super::sample::Row;
use crate::stat::{By, Cell};

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// The event.
    Event,
    /// The group.
    Group,
    /// Events in a second.
    Rate,
    /// Events since the session began.
    Count,
    /// Sum of the values in a second.
    Sum,
    /// Mean of the values.
    Mean,
    /// Their median.
    P50,
    /// The value that 99 of 100 do not exceed.
    P99,
}

impl Model {
    /// The columns that there are.
    pub fn columns(&self) -> Vec<Column> {
        use Column::*;
        let question = self.view().question;
        let mut columns = vec![Event];
        if question.by != By::Event {
            columns.push(Group);
        }
        columns.extend([Rate, Count]);
        if question.of.is_some() {
            columns.extend([Sum, Mean, P50, P99]);
        }
        columns
    }

    /// What rates and values are of, and in how many nanoseconds it came.
    pub fn measured<'a>(&self, row: &'a Row) -> (&'a Cell, u64) {
        let sample = self.sample();
        if self.whole { (&row.all, sample.at.max(1)) } else { (&row.now, sample.span) }
    }

    /// The rows that the filter admits.
    pub(super) fn admitted(&self) -> impl Iterator<Item = &Row> {
        let wanted = self.filter.to_lowercase();
        let has = move |text: &str| text.to_lowercase().contains(&wanted);
        let is_wanted = move |row: &&Row| {
            has(row.key.kind.name()) || has(&row.label) || row.frames.iter().any(|name| has(name))
        };
        self.sample().rows.iter().filter(is_wanted)
    }

    /// The same in their order.
    pub fn rows(&self) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self.admitted().collect();
        rows.sort_by(|one, other| {
            let order = self.order(one, other);
            let order = if self.reversed { order.reverse() } else { order };
            order.then(other.all.count.cmp(&one.all.count)).then(one.key.cmp(&other.key))
        });
        rows
    }

    /// Names from a to z, numbers from the largest on.
    fn order(&self, one: &Row, other: &Row) -> Ordering {
        let number = |row: &Row| {
            let cell = self.measured(row).0;
            match self.sort {
                Column::Rate => Some(cell.count),
                Column::Count => Some(row.all.count),
                Column::Sum => (cell.measured > 0).then_some(cell.sum),
                Column::Mean => cell.mean(),
                Column::P50 => cell.quantile(0.5),
                Column::P99 => cell.quantile(0.99),
                Column::Event | Column::Group => None,
            }
        };
        match self.sort {
            Column::Event => one.key.kind.name().cmp(other.key.kind.name()),
            // Numbers as numbers: they stand first in a label.
            Column::Group => one.key.group.cmp(&other.key.group),
            _ => number(other).cmp(&number(one)),
        }
    }

    /// The place of the row that is pointed at.
    pub fn place(&self, rows: &[&Row]) -> usize {
        self.selected.and_then(|key| rows.iter().position(|row| row.key == key)).unwrap_or(0)
    }

    /// Points at another row, so far away.
    pub(super) fn step(&mut self, by: isize) {
        let rows = self.rows();
        let at = self.place(&rows).saturating_add_signed(by).min(rows.len().saturating_sub(1));
        self.selected = rows.get(at).map(|row| row.key);
    }

    /// Sorts by the next column, or the one before.
    pub(super) fn sort_next(&mut self, by: usize) {
        let columns = self.columns();
        let at = columns.iter().position(|column| *column == self.sort).unwrap_or(0);
        self.sort = columns[(at + by) % columns.len()];
        self.reversed = false;
    }
}
