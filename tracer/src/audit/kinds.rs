//! Kinds of entries by the names that a user gives.

use std::collections::BTreeSet;

use super::types::parse_kind;
use crate::Error;
use crate::kernel::SwapKind;
use crate::suggest::unknown;

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

/// The kinds of those names: a kind's own (`device_exclusive_write`) or that of a group
/// (`device_exclusive`, `any`).
///
/// # Errors
/// A name that is neither.
pub fn select_kinds(names: &[String]) -> Result<BTreeSet<SwapKind>, Error> {
    let mut kinds = BTreeSet::new();
    for name in names {
        match GROUPS.iter().find(|(group, _)| group == name) {
            Some((_, members)) => kinds.extend(members.iter()),
            None => drop(kinds.insert(parse_kind(name).ok_or_else(|| unknown_kind(name))?)),
        }
    }
    Ok(kinds)
}

fn unknown_kind(name: &str) -> Error {
    let groups = GROUPS.iter().map(|(group, _)| *group);
    let kinds = GROUPS.iter().flat_map(|(_, members)| *members).map(|kind| kind.name());
    let all = format!("use a kind as printed by audit, or {}", groups.clone().collect::<Vec<_>>().join(", "));
    unknown("kind of entry", name, groups.chain(kinds), all)
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
        assert!(select(&["swap"]).is_err());
        assert!(select(&["device_privat"]).unwrap_err().remedy.contains("`device_private`"));
        // Every kind by its own name, as the outputs write it.
        for kind in select(&["any"]).unwrap() {
            assert_eq!(select(&[kind.name()]).unwrap(), [kind].into());
        }
    }
}
