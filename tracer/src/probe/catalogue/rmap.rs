//! Reverse-map walks that unmap.

use tracer_common::point::{Argument, Point};

use super::{ADDRESS, Absence, Candidate, Entry, FOLIO, Scope, Tables, VMA, Wanted};

const FLAGS: Wanted = Wanted::value(Argument::Flags, &["flags"]);
const ARG: Wanted = Wanted::pointer(Argument::Arg, &["arg"], &[]);

const WALK: &[&str] =
    &["struct page *page, enum ttu_flags flags", "struct folio *folio, enum ttu_flags flags"];
const VISIT: &[&str] = &[
    "struct page *page, struct vm_area_struct *vma, unsigned long address, void *arg",
    "struct folio *folio, struct vm_area_struct *vma, unsigned long address, void *arg",
];

const NO_MIGRATION: Absence = Absence {
    config: Some("MIGRATION"),
    inlined_into: None,
    instead: &[],
    reason: "Linux 5.14 and later have it; before, try_to_unmap did its work",
};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        arguments: &[FOLIO, FLAGS],
        fields: &["page_flags"],
        candidates: &[Candidate::of("try_to_unmap", "all", WALK)],
        absence: Absence {
            config: Some("MMU"),
            inlined_into: None,
            instead: &[],
            reason: "every kernel with an MMU has it; its symbol is missing",
        },
        ..Entry::of(Point::TryToUnmap)
    },
    Entry {
        arguments: &[FOLIO, FLAGS],
        fields: &["page_flags"],
        candidates: &[Candidate::of("try_to_migrate", "5.14 on", WALK)],
        absence: NO_MIGRATION,
        ..Entry::of(Point::TryToMigrate)
    },
    Entry {
        scope: Scope::PerVma,
        arguments: &[FOLIO, VMA, ADDRESS, ARG],
        fields: &["page_flags", "vma_mm", "vma_flags"],
        tables: Some(Tables {
            lost: "the entry before and after a visit of a locked VMA",
            range: false,
            only_with: &[],
        }),
        candidates: &[Candidate::of("try_to_unmap_one", "all", VISIT)],
        absence: Absence {
            config: Some("MMU"),
            inlined_into: None,
            instead: &[],
            reason: "every kernel with an MMU has it; its symbol is missing",
        },
        ..Entry::of(Point::TryToUnmapOne)
    },
    Entry {
        scope: Scope::PerVma,
        arguments: &[FOLIO, VMA, ADDRESS, ARG],
        fields: &["page_flags", "vma_mm", "vma_flags"],
        candidates: &[Candidate::of("try_to_migrate_one", "5.14 on", VISIT)],
        absence: NO_MIGRATION,
        ..Entry::of(Point::TryToMigrateOne)
    },
];
