//! Page-table copies at fork.

use tracer_common::event::Kind;
use tracer_common::point::{Argument, Point};

use super::exclusive::MAKERS;
use super::{Absence, Candidate, Entry, Tables, Wanted};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        arguments: &[
            Wanted::pointer(Argument::DstVma, &["dst_vma"], &["vm_area_struct"]),
            Wanted::pointer(Argument::SrcVma, &["src_vma"], &["vm_area_struct"]),
        ],
        fields: &["vma_mm", "vma_start", "vma_end", "vma_flags"],
        // They tell the entries that the copy restores in the parent, and whose tables to look at.
        companions: &[
            Point::RestoreExclusivePte,
            Point::MakeDeviceExclusiveRange,
            Point::MakeDeviceExclusive,
            Point::ExitMmap,
        ],
        tables: Some(Tables {
            lost: "the entries that parent and child have at the end",
            range: true,
            only_with: MAKERS,
        }),
        candidates: &[Candidate::of(
            "copy_page_range",
            "all (two arguments since 5.10)",
            &["struct vm_area_struct *dst_vma, struct vm_area_struct *src_vma"],
        )],
        absence: Absence {
            config: Some("MMU"),
            inlined_into: None,
            instead: &[],
            reason: "every kernel with an MMU has it; its symbol is missing",
        },
        ..Entry::of(Point::CopyPageRange)
    },
    Entry {
        also: &[Kind::CopyPageRange],
        candidates: &[Candidate {
            clones: true,
            ..Candidate::of(
                "copy_pte_range",
                "all, as a static function that compilers inline",
                &["struct vm_area_struct *dst_vma, struct vm_area_struct *src_vma, pmd_t *dst_pmd, \
                   pmd_t *src_pmd, unsigned long addr, unsigned long end"],
            )
        }],
        absence: Absence {
            config: None,
            inlined_into: Some("copy_page_range"),
            instead: &[],
            reason: "the fallback copy_page_range shows the VMAs, the range and the result, but -EBUSY (an exclusive \
                     page was locked) is -ENOMEM there",
        },
        ..Entry::of(Point::CopyPteRange)
    },
];
