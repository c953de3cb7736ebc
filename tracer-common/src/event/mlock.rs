//! mlock and munlock of folios and VMAs.

use super::field::bodies;

bodies! {
    /// Body of `Kind::MlockFolio` and `Kind::MunlockFolio`, taken at function entry.
    FolioMlock {
        /// First page of the folio.
        page: u64 as pfn (page): Page is Page,
        /// Its flags **before**: `mlocked` says whether it was mlocked already.
        flags: u64 as flags (flags_raw): PageFlags is Flags,
        /// Mappings.
        mapcount: i32 as References is Mapcount,
        /// Always 0.
        reserved: u32,
    }

    /// Body of `Kind::MlockFixup`.
    MlockFixup {
        /// Address space.
        mm: u64 as Object is Mm,
        /// First address.
        start: u64 as Hex is Start,
        /// Address after the last.
        end: u64 as Hex is End,
        /// Flags of the VMA at the function's entry.
        ///
        /// `vma->vm_flags` at function entry.
        old_vm_flags: u64 as old_vm_flags (old_vm_flags_raw): VmFlags,
        /// Flags asked for.
        new_vm_flags: u64 as new_vm_flags (new_vm_flags_raw): VmFlags,
        /// 0 or -errno.
        result: i32 as result (result_raw): Result,
        /// Always 0.
        reserved: u32,
        /// Time in the function.
        duration: u64 as Duration,
    }
}
