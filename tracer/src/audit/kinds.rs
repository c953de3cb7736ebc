//! Kinds of entries by the names that a user gives.

use std::collections::BTreeSet;

use super::types::parse_kind;
use crate::kernel::SwapKind;

/// Names that stand for several kinds.
const GROUPS: [(&str, &[SwapKind]); 5] = [
    ("migration", &[SwapKind::MigrationRead, SwapKind::MigrationReadExclusive, SwapKind::MigrationWrite]),
    ("device_private", &[SwapKind::DeviceWrite, SwapKind::DeviceRead]),
    ("device_exclusive", &[SwapKind::DeviceExclusiveWrite, SwapKind::DeviceExclusiveRead]),
    ("marker", &[SwapKind::PteMarker]),
    (
        "any",
        &[
            SwapKind::Hwpoison,
            SwapKind::MigrationRead,
            SwapKind::MigrationReadExclusive,
            SwapKind::MigrationWrite,
            SwapKind::DeviceWrite,
            SwapKind::DeviceRead,
            SwapKind::DeviceExclusiveWrite,
            SwapKind::DeviceExclusiveRead,
            SwapKind::PteMarker,
            SwapKind::SwapinError,
        ],
    ),
];

/// No kind has that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of entry `{0}`")]
pub struct UnknownKind(pub String);

/// The kinds of those names: a kind's own (`device_exclusive_write`) or that of a group
/// (`device_exclusive`, `any`).
///
/// # Errors
/// A name that is neither.
pub fn select_kinds(names: &[String]) -> Result<BTreeSet<SwapKind>, UnknownKind> {
    let mut kinds = BTreeSet::new();
    for name in names {
        match GROUPS.iter().find(|(group, _)| group == name) {
            Some((_, members)) => kinds.extend(members.iter()),
            None => drop(kinds.insert(parse_kind(name).ok_or_else(|| UnknownKind(name.clone()))?)),
        }
    }
    Ok(kinds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_kinds_and_groups() {
        let select =
            |names: &[&str]| select_kinds(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(select(&["migration", "migration_read", "hwpoison"]).unwrap().len(), 4);
        assert_eq!(select(&["any"]).unwrap().len(), 10);
        assert_eq!(select(&["swap"]), Err(UnknownKind("swap".to_owned())));
        // Every kind by its own name, as the outputs write it.
        for kind in select(&["any"]).unwrap() {
            assert_eq!(select(&[kind.name()]).unwrap(), [kind].into());
        }
    }
}
