//! Chosen fields: each column knows where its value is in every kind of event.

use super::UnknownField;
use crate::event::{Decoder, Event, Field, HeaderField, Kind, Names, Selection, Type, Value, place};

/// Where a column's value is in one kind of event.
#[derive(Clone, Copy, Debug)]
struct Cell {
    field: &'static Field,
    raw: bool,
}

/// One column.
#[derive(Clone, Debug)]
pub enum Column {
    /// A field that every line has.
    Header(HeaderField),
    /// A field of some kinds of events.
    Body(BodyColumn),
}

/// A column of a field that some kinds of events have.
#[derive(Clone, Debug)]
pub struct BodyColumn {
    name: &'static str,
    width: usize,
    /// By [`place`].
    cells: Box<[Option<Cell>]>,
}

impl BodyColumn {
    fn new(name: &str) -> Option<Self> {
        let mut column = Self { name: "", width: 0, cells: vec![None; Kind::ALL.len()].into() };
        for (slot, kind) in column.cells.iter_mut().zip(Kind::ALL) {
            for field in kind.fields() {
                if field.name == name {
                    *slot = Some(Cell { field, raw: false });
                    (column.name, column.width) = (field.name, field.ty.width());
                } else if let Some(raw_name) = field.raw
                    && raw_name == name
                {
                    *slot = Some(Cell { field, raw: true });
                    (column.name, column.width) = (raw_name, Type::Hex.width());
                }
            }
        }
        (!column.name.is_empty()).then_some(column)
    }

    /// Whether any event has a field of such a type in this column.
    pub fn has(&self, is: impl Fn(Type) -> bool) -> bool {
        self.cells.iter().flatten().any(|cell| !cell.raw && is(cell.field.ty))
    }

    /// The value in an event; `None` when that kind has no such field.
    #[inline]
    pub fn value<'a>(&self, event: &'a Event, decoder: &'a Decoder, names: &'a Names) -> Option<Value<'a>> {
        let cell = self.cells[place(event.kind())]?;
        let body = event.body.bytes();
        Some(if cell.raw {
            Decoder::raw_value(cell.field, body)
        } else {
            decoder.value(cell.field, body, names)
        })
    }
}

impl Column {
    /// The column of that name.
    ///
    /// # Errors
    /// When nothing has that name.
    pub fn new(name: &str) -> Result<Self, UnknownField> {
        if let Some(field) = HeaderField::ALL.into_iter().find(|field| field.name() == name) {
            return Ok(Self::Header(field));
        }
        BodyColumn::new(name).map(Self::Body).ok_or_else(|| UnknownField(name.to_owned()))
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Header(field) => field.name(),
            Self::Body(column) => column.name,
        }
    }

    /// Characters that its usual values need in text.
    pub fn width(&self) -> usize {
        let width = match self {
            Self::Header(HeaderField::Time) => 14,
            Self::Header(HeaderField::Cpu) => 3,
            Self::Header(HeaderField::Comm) => 15,
            Self::Header(HeaderField::Event) => 23,
            Self::Header(_) => 7,
            Self::Body(column) => column.width,
        };
        width.max(self.name().len())
    }

    /// Columns for everything that the selected kinds can say: first what every line has, at the end what
    /// only losses have.
    pub fn all(selection: Selection, raw: bool) -> Vec<Self> {
        let mut names: Vec<&'static str> = Vec::new();
        for field in selection.kinds().flat_map(|kind| kind.fields().iter()) {
            for name in [Some(field.name), field.raw.filter(|_| raw)].into_iter().flatten() {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        let (loss, line): (Vec<_>, Vec<_>) = HeaderField::ALL
            .into_iter()
            .partition(|field| matches!(field, HeaderField::LostFamily | HeaderField::LostCount));
        let body = names.into_iter().filter_map(BodyColumn::new).map(Self::Body);
        line.into_iter().map(Self::Header).chain(body).chain(loss.into_iter().map(Self::Header)).collect()
    }
}

/// Every name that a column can have, those of lines first.
pub fn column_names() -> Vec<&'static str> {
    let mut names: Vec<_> = HeaderField::ALL.map(HeaderField::name).to_vec();
    for field in Kind::ALL.iter().flat_map(|kind| kind.fields()) {
        for name in [Some(field.name), field.raw].into_iter().flatten() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_makes_a_column() {
        for name in column_names() {
            assert_eq!(Column::new(name).unwrap().name(), name);
        }
        assert!(Column::new("pnf").is_err());
        assert!(Column::new("").is_err());
    }

    #[test]
    fn all_columns_of_a_selection() {
        let mut selection = Selection::NONE;
        selection.insert(Kind::TryToUnmap);
        let names = |raw| Column::all(selection, raw).iter().map(Column::name).collect::<Vec<_>>();
        assert_eq!(
            names(false)[6..],
            ["stack", "pfn", "flags", "mapcount", "ttu_flags", "duration", "lost_family", "lost_count"]
        );
        assert!(names(true).contains(&"page"));
    }
}
