//! Device-exclusive access: made, restored, revoked by a CPU access.

use tracer_common::point::{Argument, Point};

use super::{ADDRESS, Absence, Behind, Candidate, Entry, FOLIO, Scope, VMA, Wanted};

const CONFIG: Option<&str> = Some("DEVICE_PRIVATE");

const MM: Wanted = Wanted::pointer(Argument::Mm, &["mm"], &["mm_struct"]);

/// Any of these means that the kernel can make pages exclusive.
pub(super) const MAKERS: &[&str] =
    &["make_device_exclusive_range", "make_device_exclusive", "restore_exclusive_pte"];

/// What notes the address spaces in which pages were made exclusive.
const MAKER_POINTS: &[Point] = &[Point::MakeDeviceExclusiveRange, Point::MakeDeviceExclusive];

/// The same, and what forgets them.
const SPACES: &[Point] = &[Point::MakeDeviceExclusiveRange, Point::MakeDeviceExclusive, Point::ExitMmap];

/// A member of the arguments of `move_page_tables` (6.16 mm/internal.h).
const fn move_control(field: &'static str) -> Behind {
    Behind { names: &["pmc"], types: &["pagetable_move_control"], field: Some(field) }
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        arguments: &[
            MM,
            Wanted::value(Argument::Start, &["start"]),
            Wanted::value(Argument::End, &["end"]),
            Wanted::pointer(Argument::Pages, &["pages"], &["page"]),
            Wanted::pointer(Argument::Owner, &["owner", "arg"], &[]).optional(),
        ],
        fields: &["page_flags", "page_mapping"],
        companions: &[Point::ExitMmap],
        only_with: MAKERS,
        lost_without_probe_read: Some("which pages became exclusive: the array of pages cannot be read"),
        candidates: &[Candidate {
            // The array of pages is a pointer to pointers, which a trampoline program gets only from this
            // helper (5.17; 5.15 kernel/bpf/btf.c, btf_ctx_access refuses the load).
            trampoline_helper: Some("BPF_FUNC_get_func_arg"),
            ..Candidate::of(
                "make_device_exclusive_range",
                "5.14 to 6.14",
                &[
                    "struct mm_struct *mm, unsigned long start, unsigned long end, struct page **pages, void *owner",
                ],
            )
        }],
        absence: Absence {
            config: CONFIG,
            inlined_into: None,
            instead: &["make_device_exclusive"],
            reason: "Linux 5.14 to 6.14 with CONFIG_DEVICE_PRIVATE have it; make_device_exclusive follows it",
        },
        ..Entry::of(Point::MakeDeviceExclusiveRange)
    },
    Entry {
        arguments: &[
            MM,
            Wanted::value(Argument::Start, &["addr", "address", "start"]),
            Wanted::pointer(Argument::Owner, &["owner"], &[]).optional(),
            Wanted::pointer(Argument::Foliop, &["foliop"], &["folio"]).optional(),
        ],
        fields: &["page_flags", "page_mapping"],
        companions: &[Point::ExitMmap],
        only_with: MAKERS,
        lost_without_probe_read: Some("flags, mapping and counts of the page"),
        candidates: &[Candidate::of(
            "make_device_exclusive",
            "6.15 on",
            &["struct mm_struct *mm, unsigned long addr, void *owner, struct folio **foliop"],
        )],
        absence: Absence {
            config: CONFIG,
            inlined_into: None,
            instead: &["make_device_exclusive_range"],
            reason: "Linux 6.15 and later with CONFIG_DEVICE_PRIVATE have it; before, make_device_exclusive_range",
        },
        ..Entry::of(Point::MakeDeviceExclusive)
    },
    Entry {
        scope: Scope::PerVma,
        arguments: &[FOLIO, VMA, ADDRESS],
        fields: &["page_flags", "vma_mm", "vma_flags"],
        only_with: MAKERS,
        candidates: &[Candidate::of(
            "page_make_device_exclusive_one",
            "5.14 to 6.14",
            &[
                "struct page *page, struct vm_area_struct *vma, unsigned long address, void *priv",
                "struct folio *folio, struct vm_area_struct *vma, unsigned long address, void *priv",
            ],
        )],
        absence: Absence {
            config: CONFIG,
            inlined_into: None,
            instead: &["make_device_exclusive"],
            reason: "Linux 5.14 to 6.14 with CONFIG_DEVICE_PRIVATE walk the reverse map; since 6.15 one entry is \
                     changed without a walk",
        },
        ..Entry::of(Point::PageMakeDeviceExclusiveOne)
    },
    Entry {
        arguments: &[
            VMA,
            Wanted::pointer(Argument::Page, &["page"], &["page"]),
            ADDRESS,
            Wanted::pointer(Argument::Ptep, &["ptep"], &["pte_t"]),
            Wanted::value(Argument::OrigPte, &["orig_pte"]).optional(),
            Wanted::pointer(Argument::Folio, &["folio"], &["folio"]).optional(),
        ],
        fields: &["page_flags", "vma_mm", "vma_flags"],
        // They tell whether the restore happened inside a fork, and whether it mlocked the page.
        companions: &[Point::CopyPageRange, Point::MlockFolio],
        only_with: MAKERS,
        candidates: &[Candidate::of(
            "restore_exclusive_pte",
            "5.14 on",
            &[
                "struct vm_area_struct *vma, struct page *page, unsigned long address, pte_t *ptep",
                "struct vm_area_struct *vma, struct folio *folio, struct page *page, unsigned long address, \
                 pte_t *ptep, pte_t orig_pte",
            ],
        )],
        absence: Absence {
            config: CONFIG,
            inlined_into: Some("do_swap_page"),
            instead: &[],
            reason: "the fallback exclusive_fault shows the CPU access that revokes, but neither the restored entry \
                     nor restores by fork",
        },
        ..Entry::of(Point::RestoreExclusivePte)
    },
    Entry {
        arguments: &[Wanted::pointer(Argument::Vmf, &["vmf"], &["vm_fault"])],
        fields: &["fault_entry", "fault_vma", "fault_address", "fault_flags", "vma_mm"],
        only_with: MAKERS,
        candidates: &[Candidate::of("do_swap_page", "all", &["struct vm_fault *vmf"])],
        absence: Absence {
            config: CONFIG,
            inlined_into: None,
            instead: &[],
            reason: "every kernel has it; its symbol is missing",
        },
        ..Entry::of(Point::DoSwapPage)
    },
    Entry {
        arguments: &[
            VMA,
            Wanted::value(Argument::Start, &["addr", "start"]),
            Wanted::value(Argument::End, &["end"]),
            Wanted::pointer(Argument::Details, &["details"], &["zap_details"]),
        ],
        fields: &["vma_mm"],
        any_field: &["zap_skip_cows", "zap_even_cows", "zap_check_mapping"],
        companions: SPACES,
        only_with: MAKERS,
        lost_without_probe_read: Some("whether private pages of file mappings are spared"),
        candidates: &[
            Candidate::of(
                "unmap_page_range",
                "up to 7.0",
                &[
                    "struct mmu_gather *tlb, struct vm_area_struct *vma, unsigned long addr, unsigned long end, \
                 struct zap_details *details",
                ],
            ),
            // Reached by VMAs of hugetlbfs, too; they hold no exclusive entries.
            Candidate::of(
                "__zap_vma_range",
                "7.1 on, as a static function",
                &[
                    "struct mmu_gather *tlb, struct vm_area_struct *vma, unsigned long start, unsigned long end, \
                 struct zap_details *details",
                ],
            ),
        ],
        absence: Absence {
            config: CONFIG,
            inlined_into: Some("unmap_vmas"),
            instead: &[],
            reason: "ends of exclusive entries by munmap, madvise and exit are not seen",
        },
        ..Entry::of(Point::UnmapPageRange)
    },
    Entry {
        arguments: &[
            VMA.or_behind(move_control("move_vma")),
            Wanted::value(Argument::OldAddr, &["old_addr"]).or_behind(move_control("move_old_address")),
            Wanted::value(Argument::NewAddr, &["new_addr"]).or_behind(move_control("move_new_address")),
        ],
        fields: &["vma_mm"],
        companions: SPACES,
        only_with: MAKERS,
        candidates: &[Candidate::of(
            "move_page_tables",
            "all (its arguments are in one structure since 6.16)",
            &[
                "struct vm_area_struct *vma, unsigned long old_addr, struct vm_area_struct *new_vma, \
                 unsigned long new_addr, unsigned long len, bool need_rmap_locks",
                "struct vm_area_struct *vma, unsigned long old_addr, struct vm_area_struct *new_vma, \
                 unsigned long new_addr, unsigned long len, bool need_rmap_locks, bool for_stack",
                "struct pagetable_move_control *pmc",
            ],
        )],
        absence: Absence {
            config: CONFIG,
            inlined_into: None,
            instead: &[],
            reason: "every kernel with an MMU has it; its symbol is missing",
        },
        ..Entry::of(Point::MovePageTables)
    },
    Entry {
        arguments: &[MM],
        companions: MAKER_POINTS,
        only_with: MAKERS,
        candidates: &[Candidate::of("exit_mmap", "all", &["struct mm_struct *mm"])],
        absence: Absence {
            config: CONFIG,
            inlined_into: None,
            instead: &[],
            reason: "every kernel with an MMU has it; its symbol is missing",
        },
        ..Entry::of(Point::ExitMmap)
    },
];
