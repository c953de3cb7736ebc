//! Device memory: what drivers migrate, what they ask of a range, and the ranges that they watch.

use tracer_common::point::{Argument, Point};

use super::migrate::{MIGRATE_VMA, NO_DEVICE_MIGRATION};
use super::{Absence, Candidate, Entry, Tables, Wanted};

const ARGS: &[Wanted] = &[Wanted::pointer(Argument::Args, &["args", "migrate"], &["migrate_vma"])];
const ARGS_SIGNATURE: &[&str] = &["struct migrate_vma *migrate"];
const ENTRIES_LOST: Option<&str> = Some("how many pages have a destination");

const SRC_PFNS: Wanted = Wanted::pointer(Argument::SrcPfns, &["src_pfns"], &[]);
const NPAGES: Wanted = Wanted::value(Argument::Npages, &["npages"]);

const INSERT: &[Wanted] = &[
    Wanted::pointer(Argument::Notifier, &["interval_sub"], &["mmu_interval_notifier"]),
    Wanted::pointer(Argument::Mm, &["mm"], &["mm_struct"]),
    Wanted::value(Argument::Start, &["start"]),
    Wanted::value(Argument::Length, &["length"]),
];
const INSERT_SIGNATURE: &[&str] = &[
    "struct mmu_interval_notifier *interval_sub, struct mm_struct *mm, unsigned long start, unsigned long length, \
     const struct mmu_interval_notifier_ops *ops",
];

const NO_NOTIFIERS: Absence = Absence {
    config: Some("MMU_NOTIFIER"),
    inlined_into: None,
    instead: &[],
    reason: "every kernel with CONFIG_MMU_NOTIFIER has it; its symbol is missing",
};

const REFUSED_LOST: Option<&str> = Some("which pages do not migrate, and why");

const NO_FOLIOS: Absence = Absence {
    reason: "5.15 collects pages in another order, and has no folios: how many pages do not migrate shows in \
             migrate_vma_finalize",
    ..NO_DEVICE_MIGRATION
};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        arguments: ARGS,
        fields: MIGRATE_VMA,
        lost_without_probe_read: ENTRIES_LOST,
        pages: Some("why pages do not migrate"),
        candidates: &[Candidate::of("migrate_vma_pages", "all", ARGS_SIGNATURE)],
        absence: NO_DEVICE_MIGRATION,
        ..Entry::of(Point::MigrateVmaPages)
    },
    Entry {
        arguments: ARGS,
        fields: MIGRATE_VMA,
        lost_without_probe_read: ENTRIES_LOST,
        candidates: &[Candidate::of("migrate_vma_finalize", "all", ARGS_SIGNATURE)],
        absence: NO_DEVICE_MIGRATION,
        ..Entry::of(Point::MigrateVmaFinalize)
    },
    Entry {
        arguments: &[SRC_PFNS, Wanted::value(Argument::Start, &["start"]), NPAGES],
        lost_without_probe_read: Some("how many pages were collected"),
        candidates: &[Candidate::of(
            "migrate_device_range",
            "6.1 on",
            &["unsigned long *src_pfns, unsigned long start, unsigned long npages"],
        )],
        absence: NO_DEVICE_MIGRATION,
        ..Entry::of(Point::MigrateDeviceRange)
    },
    Entry {
        arguments: &[SRC_PFNS, NPAGES],
        lost_without_probe_read: Some("how many pages were collected"),
        candidates: &[Candidate::of(
            "migrate_device_pfns",
            "not in 6.12, in 6.18",
            &["unsigned long *src_pfns, unsigned long npages"],
        )],
        absence: Absence {
            instead: &["migrate_device_range"],
            reason: "kernels without it collect ranges of a device's page frames, by migrate_device_range",
            ..NO_DEVICE_MIGRATION
        },
        ..Entry::of(Point::MigrateDevicePfns)
    },
    Entry {
        arguments: &[Wanted::pointer(Argument::Range, &["range"], &["hmm_range"])],
        fields: &["range_notifier", "range_start", "range_end", "range_flags", "interval_mm"],
        candidates: &[Candidate::of("hmm_range_fault", "all", &["struct hmm_range *range"])],
        absence: Absence {
            config: Some("HMM_MIRROR"),
            inlined_into: None,
            instead: &[],
            reason: "it comes with drivers that mirror address spaces (CONFIG_HMM_MIRROR)",
        },
        ..Entry::of(Point::HmmRangeFault)
    },
    Entry {
        arguments: INSERT,
        candidates: &[Candidate::of("mmu_interval_notifier_insert", "all", INSERT_SIGNATURE)],
        absence: NO_NOTIFIERS,
        ..Entry::of(Point::MmuIntervalNotifierInsert)
    },
    Entry {
        arguments: INSERT,
        candidates: &[Candidate::of("mmu_interval_notifier_insert_locked", "all", INSERT_SIGNATURE)],
        absence: NO_NOTIFIERS,
        ..Entry::of(Point::MmuIntervalNotifierInsertLocked)
    },
    Entry {
        arguments: &[Wanted::pointer(Argument::Notifier, &["interval_sub"], &["mmu_interval_notifier"])],
        fields: &["interval_mm", "interval_start", "interval_last"],
        candidates: &[Candidate::of(
            "mmu_interval_notifier_remove",
            "all",
            &["struct mmu_interval_notifier *interval_sub"],
        )],
        absence: NO_NOTIFIERS,
        ..Entry::of(Point::MmuIntervalNotifierRemove)
    },
    Entry {
        only_with: &["migrate_vma_setup"],
        tables: Some(Tables {
            lost: "why pages were not collected",
            range: true,
            only_with: &["migrate_vma_setup"],
        }),
        fields: MIGRATE_VMA,
        candidates: &[Candidate::of("lru_add_drain", "all", &[""])],
        absence: NO_DEVICE_MIGRATION,
        ..Entry::of(Point::LruAddDrain)
    },
    Entry {
        only_with: &["migrate_vma_setup"],
        arguments: &[Wanted::pointer(Argument::Folio, &["folio"], &["folio"])],
        fields: MIGRATE_VMA,
        lost_without_probe_read: REFUSED_LOST,
        candidates: &[Candidate::of("folio_putback_lru", "6.1 on", &["struct folio *folio"])],
        absence: NO_FOLIOS,
        ..Entry::of(Point::FolioPutbackLru)
    },
    Entry {
        only_with: &["migrate_vma_setup"],
        arguments: &[
            Wanted::pointer(Argument::Src, &["src"], &["folio"]),
            Wanted::pointer(Argument::Dst, &["dst"], &["folio"]),
        ],
        fields: MIGRATE_VMA,
        lost_without_probe_read: REFUSED_LOST,
        candidates: &[Candidate::of(
            "remove_migration_ptes",
            "5.18 on with folios",
            &[
                "struct folio *src, struct folio *dst, bool locked",
                "struct folio *src, struct folio *dst, int flags",
                "struct folio *src, struct folio *dst, enum ttu_flags flags",
            ],
        )],
        absence: NO_FOLIOS,
        ..Entry::of(Point::RemoveMigrationPtes)
    },
];
