//! mlock and munlock.

use tracer_common::point::{Argument, Point};

use super::{ADDRESS, Absence, Behind, Candidate, Entry, FOLIO, Scope, VMA, Wanted};

const NO_WALK: Absence = Absence {
    config: None,
    inlined_into: None,
    instead: &["mlock_folio", "mlock_new_folio", "mlock_drain_local"],
    reason: "only Linux 5.14 to 5.17 look for locked mappings at munlock; since 5.18 folios are counted by \
             mlock_folio and munlock_folio instead",
};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        arguments: &[FOLIO],
        fields: &["page_flags"],
        candidates: &[Candidate::of("page_mlock", "5.14 to 5.17", &["struct page *page"])],
        absence: NO_WALK,
        ..Entry::of(Point::PageMlock)
    },
    Entry {
        scope: Scope::PerVma,
        arguments: &[FOLIO, VMA, ADDRESS],
        fields: &["page_flags", "vma_mm", "vma_flags"],
        candidates: &[Candidate::of(
            "page_mlock_one",
            "5.14 to 5.17",
            &["struct page *page, struct vm_area_struct *vma, unsigned long address, void *unused"],
        )],
        absence: NO_WALK,
        ..Entry::of(Point::PageMlockOne)
    },
    Entry {
        arguments: &[FOLIO],
        fields: &["page_flags"],
        candidates: &[
            Candidate::of("mlock_folio", "5.18 on", &["struct folio *folio"]),
            Candidate::of("mlock_vma_page", "up to 5.17", &["struct page *page"]),
        ],
        absence: Absence {
            config: Some("MMU"),
            inlined_into: None,
            instead: &[],
            reason: "every kernel with an MMU has mlock_folio (5.18 on) or mlock_vma_page; their symbols are missing",
        },
        ..Entry::of(Point::MlockFolio)
    },
    Entry {
        arguments: &[FOLIO],
        fields: &["page_flags"],
        candidates: &[
            Candidate::of("munlock_folio", "6.3 on", &["struct folio *folio"]),
            Candidate::of("munlock_page", "5.18 to 6.2", &["struct page *page"]),
            Candidate {
                // 5.15 mm/mlock.c: munlock_vma_pages_range() gives it huge pages only, and clears PG_mlocked
                // of base pages itself, in __munlock_pagevec().
                lost: Some("base pages that munlock(2) and munmap(2) release in batches (__munlock_pagevec)"),
                ..Candidate::of("munlock_vma_page", "up to 5.17", &["struct page *page"])
            },
        ],
        absence: Absence {
            config: Some("MMU"),
            inlined_into: None,
            instead: &[],
            reason: "every kernel with an MMU has munlock_folio (6.3 on), munlock_page (5.18 on) or \
                     munlock_vma_page; their symbols are missing",
        },
        ..Entry::of(Point::MunlockFolio)
    },
    Entry {
        arguments: &[
            VMA,
            Wanted::value(Argument::Start, &["start"]),
            Wanted::value(Argument::End, &["end"]),
            Wanted::value(Argument::Newflags, &["newflags"]).or_behind(Behind {
                names: &["new_vma_flags"],
                types: &["vma_flags_t"],
                field: None,
            }),
        ],
        fields: &["vma_mm", "vma_flags"],
        candidates: &[Candidate::of(
            "mlock_fixup",
            "all (the flags are behind a pointer since 7.3)",
            &[
                "struct vm_area_struct *vma, struct vm_area_struct **prev, unsigned long start, unsigned long end, \
                 vm_flags_t newflags",
                "struct vma_iterator *vmi, struct vm_area_struct *vma, struct vm_area_struct **prev, \
                 unsigned long start, unsigned long end, vm_flags_t newflags",
                "struct vma_iterator *vmi, struct vm_area_struct *vma, struct vm_area_struct **prev, \
                 unsigned long start, unsigned long end, vma_flags_t *new_vma_flags",
            ],
        )],
        absence: Absence {
            config: Some("MMU"),
            inlined_into: None,
            instead: &[],
            reason: "every kernel with an MMU has it, as a static function; its symbol is missing",
        },
        ..Entry::of(Point::MlockFixup)
    },
];
