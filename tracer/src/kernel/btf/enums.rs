//! Enumerations and their values.

use super::{
    Btf,
    format::{Kind, Record},
};
use crate::kernel::NamedValue;

impl Btf {
    /// The value of an enumerator, wherever it is defined; anonymous enumerations are the rule in the
    /// kernel.
    pub fn enumerator(&self, name: &str) -> Option<i64> {
        self.enums.iter().map(|position| self.record_at(self.starts[*position as usize])).find_map(|record| {
            record
                .items()
                .find(|item| self.string(item[0]) == name.as_bytes())
                .map(|item| value(&record, item))
        })
    }

    /// Every enumerator of the enumeration of that name in the order of the source; empty when the kernel
    /// has none.
    pub fn enumeration(&self, name: &str) -> Vec<NamedValue> {
        self.named(name)
            .filter_map(|(type_id, _)| self.resolve(type_id))
            .find(|(_, record)| matches!(record.kind(), Kind::Enum | Kind::Enum64))
            .map(|(_, record)| {
                record
                    .items()
                    .map(|item| NamedValue {
                        name: String::from_utf8_lossy(self.string(item[0])).into_owned(),
                        value: value(&record, item),
                    })
                    .collect()
            })
            .unwrap_or_default()
    }
}

/// The value of an enumerator. The record's flag says that values are signed; before Linux 6.0 it was not
/// written, and no enumeration used here has values of 2^31 or more.
fn value(record: &Record<'_>, [_, low, high]: [u32; 3]) -> i64 {
    match (record.kind(), record.flag()) {
        (Kind::Enum64, _) => (u64::from(high) << 32 | u64::from(low)) as i64,
        (_, true) => i64::from(low as i32),
        (_, false) => i64::from(low),
    }
}
