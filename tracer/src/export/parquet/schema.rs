//! The columns: which there are, and where each field of an event goes.
//!
//! Every column is optional, and there are four types only, those that every engine has: a signed 64-bit integer
//! (Trino and Hive have no unsigned ones; pfns, user addresses and sizes stay below 2^63, kernel addresses keep their
//! bits), a boolean, a string, and a list of strings.

use crate::event::{Field, Selection, Type};

/// What is in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// INT64.
    Integer,
    /// INT64 as microseconds since 1970 UTC, the resolution of Spark's timestamps.
    Timestamp,
    /// BOOLEAN.
    Truth,
    /// BYTE_ARRAY as UTF-8.
    Text,
    /// LIST of UTF-8 strings.
    List,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// The columns that every row has, in this order.
pub(super) const LINE: [(&str, Kind); 14] = [
    ("host", Kind::Text),
    ("release", Kind::Text),
    ("session", Kind::Text),
    ("timestamp", Kind::Timestamp),
    ("time", Kind::Integer),
    ("since_start", Kind::Integer),
    ("cpu", Kind::Integer),
    ("comm", Kind::Text),
    ("pid", Kind::Integer),
    ("tid", Kind::Integer),
    ("family", Kind::Text),
    ("event", Kind::Text),
    ("stack", Kind::Integer),
    ("frames", Kind::List),
];

/// The columns of losses, behind all others, in this order.
pub(super) const LOSS: [(&str, Kind); 3] =
    [("lost_family", Kind::Text), ("lost_count", Kind::Integer), ("lost_after", Kind::Integer)];

/// Columns of the parts of a page-table entry, behind the one of its kind, in this order.
pub(super) const ENTRY_PARTS: [(&str, Kind); 4] = [
    ("swap_type", Kind::Integer),
    ("pfn", Kind::Integer),
    ("soft_dirty", Kind::Truth),
    ("uffd_wp", Kind::Truth),
];

/// Where a field goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) field: &'static Field,
    /// The column of the value; what is made of it beside (errno, parts of an entry) follows.
    pub(super) value: usize,
    /// The column of the undecoded number.
    pub(super) raw: Option<usize>,
}

/// What a field's decoded value is.
const fn kind_of(ty: Type) -> Kind {
    match ty {
        Type::Comm
        | Type::DeviceName
        | Type::Device
        | Type::Direction
        | Type::MigrateMode
        | Type::MigrateReason
        | Type::RefusalStep
        | Type::RefusalReason
        | Type::WalkResult
        | Type::MappingBits
        | Type::Entry => Kind::Text,
        Type::PageFlags
        | Type::VmFlags
        | Type::TtuFlags
        | Type::FaultFlags
        | Type::FaultResult
        | Type::DmaAttributes
        | Type::PoolFlags
        | Type::MigrateSource
        | Type::FaultRequest => Kind::List,
        Type::Truth => Kind::Truth,
        Type::Id
        | Type::Count
        | Type::OptionalCount
        | Type::Bytes
        | Type::Order
        | Type::Duration
        | Type::Object
        | Type::Hex
        | Type::Mapping
        | Type::SlotOriginal
        | Type::Page
        | Type::OptionalPage
        | Type::References
        | Type::Result
        | Type::ExitStatus
        | Type::ExitSignal => Kind::Integer,
    }
}

/// The columns of the selected kinds, and by [`place`](crate::event::place) where their fields go.
pub(super) fn columns(selection: Selection) -> (Vec<Column>, Vec<Vec<Place>>) {
    let named = |(name, kind): (&str, Kind)| Column { name: name.to_owned(), kind };
    let mut columns: Vec<Column> = LINE.into_iter().map(named).collect();
    let mut places = vec![Vec::new(); crate::event::Kind::ALL.len()];
    for kind in selection.kinds() {
        for field in kind.fields() {
            let value = find(&columns, field.name).unwrap_or_else(|| add(&mut columns, field));
            // The undecoded number of a result is the result.
            let raw = field.raw.filter(|_| field.ty != Type::Result);
            let raw = raw.map(|name| {
                find(&columns, name).unwrap_or_else(|| push(&mut columns, name.to_owned(), Kind::Integer))
            });
            places[crate::event::place(kind)].push(Place { field, value, raw });
        }
    }
    columns.extend(LOSS.into_iter().map(named));
    (columns, places)
}

fn find(columns: &[Column], name: &str) -> Option<usize> {
    columns.iter().position(|column| column.name == name)
}

fn push(columns: &mut Vec<Column>, name: String, kind: Kind) -> usize {
    columns.push(Column { name, kind });
    columns.len() - 1
}

/// The columns of a field's value; the index of the first.
fn add(columns: &mut Vec<Column>, field: &Field) -> usize {
    let first = push(columns, field.name.to_owned(), kind_of(field.ty));
    match field.ty {
        Type::Result => {
            push(columns, format!("{}_errno", field.name), Kind::Text);
        }
        Type::Entry => {
            for (part, kind) in ENTRY_PARTS {
                push(columns, format!("{}_{part}", field.name), kind);
            }
        }
        _ => {}
    }
    first
}

/// The schema in Parquet's own notation.
pub(super) fn message(columns: &[Column]) -> String {
    let mut message = "message rmapscope {\n".to_owned();
    for Column { name, kind } in columns {
        message += &match kind {
            Kind::Integer => format!("optional int64 {name};\n"),
            Kind::Timestamp => format!("optional int64 {name} (TIMESTAMP(MICROS,true));\n"),
            Kind::Truth => format!("optional boolean {name};\n"),
            Kind::Text => format!("optional binary {name} (STRING);\n"),
            Kind::List => format!(
                "optional group {name} (LIST) {{ repeated group list {{ required binary element (STRING); }} }}\n"
            ),
        };
    }
    message + "}\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_documented() {
        let document = include_str!("../../../../docs/export.md");
        for Column { name, .. } in columns(Selection::ALL).0 {
            assert!(document.contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn names_are_unique_and_the_schema_is_one() {
        let (columns, places) = columns(Selection::ALL);
        let names: std::collections::HashSet<_> = columns.iter().map(|column| &column.name).collect();
        assert_eq!(names.len(), columns.len());
        parquet::schema::parser::parse_message_type(&message(&columns)).unwrap();
        for place in places.iter().flatten() {
            assert_eq!(columns[place.value].kind, kind_of(place.field.ty), "{}", place.field.name);
        }
        // What a hive layout puts into the path must not be in the file.
        for name in ["date", "kernel", "kind"] {
            assert!(find(&columns, name).is_none());
        }
    }
}
