//! Tables.

use askama::Template;

use super::Block;

/// A table. Columns in which no line has anything are left out.
#[derive(Template)]
#[template(path = "report/grid.html")]
pub struct Grid {
    caption: String,
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    /// Sums, which stay below whatever the rest is sorted by.
    foot: Vec<Vec<Cell>>,
    /// Whether it has to be unfolded.
    is_folded: bool,
}

/// The head of a column.
#[derive(Clone)]
pub struct Column {
    title: &'static str,
    is_number: bool,
}

/// A column of words.
pub const fn words(title: &'static str) -> Column {
    Column { title, is_number: false }
}

/// A column of numbers.
pub const fn numbers(title: &'static str) -> Column {
    Column { title, is_number: true }
}

/// What is in one place of a table, safe to print.
pub struct Cell {
    text: String,
    /// What it is sorted by, where the text is not.
    order: Option<u64>,
    is_number: bool,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, order: None, is_number: false }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<u64> for Cell {
    fn from(value: u64) -> Self {
        Self::measured(value, value.to_string())
    }
}

impl Cell {
    /// A number and how people read it.
    pub fn measured(value: u64, text: String) -> Self {
        Self { text, order: Some(value), is_number: true }
    }

    /// The same, empty for 0.
    pub fn unless_zero(value: u64, show: impl Fn(u64) -> String) -> Self {
        Self::measured(value, if value == 0 { String::new() } else { show(value) })
    }

    /// The same, empty where there is none.
    pub fn optional(value: Option<u64>, show: impl Fn(u64) -> String) -> Self {
        Self { text: value.map_or_else(String::new, show), order: value, is_number: true }
    }
}

impl Grid {
    /// A table without lines.
    pub fn new(caption: impl Into<String>, columns: impl Into<Vec<Column>>) -> Self {
        Self {
            caption: caption.into(),
            columns: columns.into(),
            rows: Vec::new(),
            foot: Vec::new(),
            is_folded: false,
        }
    }

    /// Adds a line with a cell for each column.
    pub fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        self.rows.push(cells.into());
    }

    /// Adds a line of sums.
    pub fn foot(&mut self, cells: impl Into<Vec<Cell>>) {
        self.foot.push(cells.into());
    }

    /// To be unfolded by its caption.
    pub fn folded(self) -> Self {
        Self { is_folded: true, ..self }
    }

    /// As a block, without empty columns.
    pub fn block(mut self) -> Block {
        for index in (1..self.columns.len()).rev() {
            if self.rows.iter().chain(&self.foot).all(|row| row[index].text.is_empty()) {
                self.columns.remove(index);
                self.rows.iter_mut().chain(&mut self.foot).for_each(|row| drop(row.remove(index)));
            }
        }
        Block::Grid(self)
    }
}
