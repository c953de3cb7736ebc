//! Migration entries and the migrations that set them.

use tracer_common::point::{Argument, Point};

use super::{ADDRESS, Absence, Candidate, Entry, Holds, Place, VMA, Wanted};

const CONFIG: Option<&str> = Some("MIGRATION");

/// Address, raw entry, order.
const ENTRY: &[Wanted] = &[
    Wanted::at(Argument::Address, Place::FromStart(0), Holds::Value),
    Wanted::at(Argument::Entry, Place::FromStart(1), Holds::Value),
    Wanted::at(Argument::Order, Place::FromStart(2), Holds::Value),
];

const ENTRY_SIGNATURE: &[&str] = &["unsigned long, unsigned long, int"];

/// Address, raw entry.
const HUGE_ENTRY: &[Wanted] = &[
    Wanted::at(Argument::Address, Place::FromStart(0), Holds::Value),
    Wanted::at(Argument::Entry, Place::FromStart(1), Holds::Value),
];

const HUGE_ENTRY_SIGNATURE: &[&str] = &["unsigned long, unsigned long"];
const HUGE_VERSIONS: &str = "6.1 on (absent in 5.15)";

const NO_HUGE_ENTRIES: Absence = Absence {
    config: Some("ARCH_ENABLE_THP_MIGRATION"),
    inlined_into: None,
    instead: &[],
    reason: "5.15 does not have the tracepoint, 6.1 and later do where huge pages can migrate; migrations of huge pages \
             that one entry maps are reported by try_to_migrate and remove_migration_pte",
};

const NO_ENTRY_TRACEPOINT: Absence = Absence {
    config: CONFIG,
    inlined_into: None,
    instead: &[],
    reason: "5.15 does not have the tracepoint, 6.1 and later do; try_to_migrate and remove_migration_pte show the \
             folio, but not the entry",
};

/// `struct migrate_vma`, and what the record of each step of a migration from or to a device consists of.
pub(super) const MIGRATE_VMA: &[&str] = &[
    "migrate_vma_vma",
    "migrate_vma_start",
    "migrate_vma_end",
    "migrate_vma_npages",
    "migrate_vma_cpages",
    "vma_mm",
];

pub(super) const NO_DEVICE_MIGRATION: Absence = Absence {
    config: Some("DEVICE_MIGRATION"),
    inlined_into: None,
    instead: &[],
    reason: "it comes with device memory (CONFIG_DEVICE_PRIVATE, since 5.18 CONFIG_DEVICE_MIGRATION)",
};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        arguments: ENTRY,
        pages: Some("the page behind the entry, and its flags"),
        lost_without_probe_read: Some("the page behind the entry, and its flags"),
        candidates: &[Candidate::of("migrate:set_migration_pte", "6.1 on (absent in 5.15)", ENTRY_SIGNATURE)],
        absence: NO_ENTRY_TRACEPOINT,
        ..Entry::of(Point::SetMigrationPte)
    },
    Entry {
        arguments: ENTRY,
        pages: Some("the page behind the entry, and its flags"),
        lost_without_probe_read: Some("the page behind the entry, and its flags"),
        candidates: &[Candidate::of(
            "migrate:remove_migration_pte",
            "6.1 on (absent in 5.15)",
            ENTRY_SIGNATURE,
        )],
        absence: NO_ENTRY_TRACEPOINT,
        ..Entry::of(Point::MigrationPteRemoved)
    },
    Entry {
        arguments: HUGE_ENTRY,
        pages: Some("the page behind the entry, and its flags"),
        lost_without_probe_read: Some("the page behind the entry, and its flags"),
        candidates: &[Candidate::of("thp:set_migration_pmd", HUGE_VERSIONS, HUGE_ENTRY_SIGNATURE)],
        absence: NO_HUGE_ENTRIES,
        ..Entry::of(Point::SetMigrationPmd)
    },
    Entry {
        arguments: HUGE_ENTRY,
        pages: Some("the page behind the entry, and its flags"),
        lost_without_probe_read: Some("the page behind the entry, and its flags"),
        candidates: &[Candidate::of("thp:remove_migration_pmd", HUGE_VERSIONS, HUGE_ENTRY_SIGNATURE)],
        absence: NO_HUGE_ENTRIES,
        ..Entry::of(Point::MigrationPmdRemoved)
    },
    Entry {
        arguments: &[
            Wanted::pointer(Argument::Folio, &["folio", "new", "page"], &["folio", "page"]),
            VMA,
            ADDRESS,
            Wanted::pointer(Argument::Old, &["old", "arg"], &[]),
        ],
        fields: &["page_flags", "vma_mm"],
        lost_without_probe_read: Some("the flags of the source page, and in 6.12 and later the page itself"),
        candidates: &[Candidate::of(
            "remove_migration_pte",
            "all",
            &[
                "struct page *new, struct vm_area_struct *vma, unsigned long addr, void *old",
                "struct page *page, struct vm_area_struct *vma, unsigned long addr, void *old",
                "struct folio *folio, struct vm_area_struct *vma, unsigned long addr, void *old",
                "struct folio *folio, struct vm_area_struct *vma, unsigned long addr, void *arg",
            ],
        )],
        absence: Absence {
            config: CONFIG,
            inlined_into: None,
            instead: &[],
            reason: "every kernel with CONFIG_MIGRATION has it; its symbol is missing",
        },
        ..Entry::of(Point::RemoveMigrationPte)
    },
    Entry {
        // Counters were added in the middle (6.12: large folios split); mode and reason stay last.
        arguments: &[
            Wanted::at(Argument::Succeeded, Place::FromStart(0), Holds::Value),
            Wanted::at(Argument::Failed, Place::FromStart(1), Holds::Value),
            Wanted::at(Argument::Mode, Place::FromEnd(1), Holds::Value),
            Wanted::at(Argument::Reason, Place::FromEnd(0), Holds::Value),
        ],
        candidates: &[Candidate::of(
            "migrate:mm_migrate_pages",
            "all",
            &[
                "unsigned long, unsigned long, unsigned long, unsigned long, unsigned long, enum migrate_mode, int",
                "unsigned long, unsigned long, unsigned long, unsigned long, unsigned long, unsigned long, \
                 enum migrate_mode, int",
            ],
        )],
        absence: Absence {
            config: CONFIG,
            inlined_into: None,
            instead: &[],
            reason: "every kernel with CONFIG_MIGRATION has the tracepoint; its BTF type is missing",
        },
        ..Entry::of(Point::MigratePages)
    },
    Entry {
        arguments: &[Wanted::pointer(Argument::Args, &["args"], &["migrate_vma"])],
        fields: MIGRATE_VMA,
        pages: Some("the locks of the pages that were collected"),
        candidates: &[Candidate::of("migrate_vma_setup", "all", &["struct migrate_vma *args"])],
        absence: NO_DEVICE_MIGRATION,
        ..Entry::of(Point::MigrateVmaSetup)
    },
    Entry {
        arguments: &[
            Wanted::pointer(Argument::Src, &["src", "page"], &["folio", "page"]),
            Wanted::value(Argument::Mode, &["mode"]),
        ],
        fields: &["page_flags"],
        lost_without_probe_read: Some("the number of references"),
        candidates: &[
            Candidate::of(
                "move_to_new_folio",
                "5.18 on, as a static function",
                &["struct folio *dst, struct folio *src, enum migrate_mode mode"],
            ),
            Candidate::of(
                "move_to_new_page",
                "up to 5.17, as a static function",
                &["struct page *newpage, struct page *page, enum migrate_mode mode"],
            ),
        ],
        absence: Absence {
            config: CONFIG,
            inlined_into: Some("migrate_pages_batch"),
            instead: &[],
            reason: "migrate_pages shows how many pages could not be migrated, but not which",
        },
        ..Entry::of(Point::MoveToNewFolio)
    },
];
