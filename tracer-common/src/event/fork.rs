//! Page-table copies at fork.

use super::field::bodies;

bodies! {
    /// Body of `Kind::CopyPageRange`.
    CopyPageRange {
        /// Address space of the parent.
        source_mm: u64 as Object is Mm,
        /// Address space of the child.
        destination_mm: u64 as Object,
        /// VMA of the parent.
        source_vma: u64 as Object,
        /// VMA of the child.
        destination_vma: u64 as Object,
        /// Its first address.
        ///
        /// `src_vma->vm_start`.
        start: u64 as Hex is Start,
        /// Address after its last.
        ///
        /// `src_vma->vm_end`.
        end: u64 as Hex is End,
        /// Flags of the parent's VMA.
        ///
        /// `src_vma->vm_flags`.
        vm_flags: u64 as vm_flags (vm_flags_raw): VmFlags,
        /// 0 or -errno. **Any failure of an inner function is -ENOMEM here**, also when memory was free.
        result: i32 as result (result_raw): Result,
        /// Last result of `copy_pte_range`; `?` where the compiler made it a part of `copy_page_range`. -EBUSY: an
        /// exclusive page was locked by somebody else.
        inner_result: i32 as inner_result (inner_result_raw): Result,
        /// Exclusive entries that were restored in the parent on the way, each with a `restore_exclusive`; needs
        /// that probe.
        restored: u32 as Count,
        /// Exclusive entries that the parent's page table still has in the range.
        exclusive_left: u32 as OptionalCount,
        /// Exclusive entries in the child's page table; the kernel makes none.
        exclusive_copied: u32 as OptionalCount,
        /// Restored pages for which the entries of parent and child were compared.
        compared: u32 as OptionalCount,
        /// Of these, pages that the child maps and the parent does not any more: it has another page, or nothing.
        taken: u32 as Count,
        /// Page tables and restored pages that were not looked at.
        unscanned: u32 as Count,
        /// First address whose entry the parent still has; 0 for none.
        first_left: u64 as Hex,
        /// Flags of that entry's page: `locked` explains a fork that failed.
        first_left_flags: u64 as first_left_flags (first_left_flags_raw): PageFlags,
        /// First address at which the child has an exclusive entry; 0 for none.
        first_copied: u64 as Hex,
        /// First address at which the child has taken the page; 0 for none.
        first_taken: u64 as Hex,
        /// Time in the function; what the program itself looks at comes after it.
        duration: u64 as Duration,
    }
}
