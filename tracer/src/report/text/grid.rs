//! Tables that fit the line.

use super::layout::clip;

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    /// Names.
    Left,
    /// Numbers.
    Right,
    /// Takes what the others leave, and is clipped there.
    Rest,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    title: &'static str,
    set: Set,
    /// Those with the lowest go first where the line is too short; the highest never goes.
    worth: u8,
}

/// Worth of a column that never goes.
const KEPT: u8 = u8::MAX;
/// Characters that are left for a column that takes the rest, as long as others can go.
const LEAST: usize = 20;
/// Fewest characters of it.
const NARROWEST: usize = 8;
/// Most characters of a name where the line is too short for all.
const NAME: usize = 28;

impl Column {
    /// Names, always there.
    pub const fn name(title: &'static str) -> Self {
        Self { title, set: Set::Left, worth: KEPT }
    }

    /// Numbers, always there.
    pub const fn number(title: &'static str) -> Self {
        Self { title, set: Set::Right, worth: KEPT }
    }

    /// Numbers that may be left out; those of the least worth are first.
    pub const fn optional(title: &'static str, worth: u8) -> Self {
        Self { title, set: Set::Right, worth }
    }

    /// Words that are clipped where the line ends.
    pub const fn rest(title: &'static str) -> Self {
        Self { title, set: Set::Rest, worth: KEPT }
    }
}

/// A table of cells that are safe to print. Columns without any content are left out.
#[derive(Clone, Debug)]
pub struct Grid {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    /// A table without rows.
    pub fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row with one cell for each column.
    pub fn row(&mut self, cells: impl Into<Vec<String>>) {
        let cells = cells.into();
        debug_assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.rows.push(cells);
    }

    /// The titles, then the rows.
    pub fn lines(self, width: usize, ellipsis: &str) -> Vec<String> {
        let mut shown: Vec<usize> = (0..self.columns.len())
            .filter(|index| self.rows.iter().any(|row| !row[*index].is_empty()))
            .collect();
        let mut widths: Vec<usize> = (0..self.columns.len()).map(|index| self.natural(index)).collect();
        // Long names give way first, then columns.
        for index in &shown {
            let excess = self.total(&shown, &widths).saturating_sub(width);
            if self.columns[*index].set == Set::Left && excess > 0 {
                widths[*index] = widths[*index].saturating_sub(excess).max(NAME).min(widths[*index]);
            }
        }
        while self.total(&shown, &widths) > width {
            let Some(place) = self.least(&shown) else { break };
            shown.remove(place);
        }
        let fixed = self.total(&shown, &widths);
        for index in &shown {
            if self.columns[*index].set == Set::Rest {
                let counted = LEAST.min(widths[*index]);
                widths[*index] = (width + counted).saturating_sub(fixed).max(NARROWEST);
            }
        }
        let titles = self.line(&shown, &widths, ellipsis, |index| self.columns[index].title);
        let rows = self.rows.iter().map(|row| self.line(&shown, &widths, ellipsis, |index| &row[index]));
        std::iter::once(titles).chain(rows).collect()
    }

    /// Characters that a column would like to have.
    fn natural(&self, index: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[index].chars().count());
        cells.max().unwrap_or(0).max(self.columns[index].title.chars().count())
    }

    /// Characters of a line, two between columns.
    fn total(&self, shown: &[usize], widths: &[usize]) -> usize {
        let columns = shown.iter().map(|index| match self.columns[*index].set {
            Set::Rest => LEAST.min(widths[*index]),
            Set::Left | Set::Right => widths[*index],
        });
        columns.map(|column| column + 2).sum::<usize>().saturating_sub(2)
    }

    /// Place of the column that goes next.
    fn least(&self, shown: &[usize]) -> Option<usize> {
        let worth = |place: &usize| self.columns[shown[*place]].worth;
        (0..shown.len()).filter(|place| worth(place) < KEPT).min_by_key(worth)
    }

    fn line<'a>(
        &self,
        shown: &[usize],
        widths: &[usize],
        ellipsis: &str,
        cell: impl Fn(usize) -> &'a str,
    ) -> String {
        let mut line = String::new();
        for (place, index) in shown.iter().enumerate() {
            let (width, cell) = (widths[*index], cell(*index));
            if place > 0 {
                line += "  ";
            }
            match self.columns[*index].set {
                Set::Right => line += &format!("{cell:>width$}"),
                Set::Left | Set::Rest => line += &format!("{:<width$}", clip(cell, width, ellipsis)),
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let mut grid = Grid::new([
            Column::name("who"),
            Column::number("count"),
            Column::optional("pages", 1),
            Column::optional("time", 2),
            Column::rest("what"),
        ]);
        let row = |cells: [&str; 5]| cells.map(str::to_owned);
        grid.row(row(["kswapd0", "12", "7", "", "try_to_unmap 12"]));
        grid.row(row(["a", "1", "123456", "", "migrate"]));
        grid
    }

    #[test]
    fn columns_are_aligned_and_empty_ones_left_out() {
        assert_eq!(
            grid().lines(80, "…"),
            [
                "who      count   pages  what",
                "kswapd0     12       7  try_to_unmap 12",
                "a            1  123456  migrate"
            ]
        );
    }

    #[test]
    fn what_is_worth_least_goes_first() {
        assert_eq!(
            grid().lines(30, "…"),
            ["who      count  what", "kswapd0     12  try_to_unmap…", "a            1  migrate"]
        );
        assert!(Grid::new([Column::name("who")]).lines(80, "…").iter().all(String::is_empty));
    }
}
