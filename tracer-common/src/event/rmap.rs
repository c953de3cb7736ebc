//! Walks of the reverse map, and the visits that they are made of.

use super::field::bodies;

bodies! {
    /// Body of the events that one VMA visit of an rmap walk makes (`*_one`). A visit does not say that an entry
    /// was changed: the callback also returns true when nothing is mapped there.
    VmaVisit in the order [
        mm, address, pfn, flags, mapcount, ttu_flags, vm_flags, walk, entry_before, entry_after, duration
    ] {
        /// First page of the folio.
        page: u64 as pfn (page): Page is VisitedPage,
        /// Its page flags at return.
        flags: u64 as flags (flags_raw): PageFlags is Flags,
        /// Address space visited, usually not the thread's own.
        mm: u64 as Object is Mm,
        /// First address of the folio in the VMA.
        address: u64 as Hex is Address,
        /// Flags of the VMA.
        ///
        /// `vma->vm_flags`.
        vm_flags: u64 as vm_flags (vm_flags_raw): VmFlags,
        /// Flags of the walk.
        ttu_flags: u32 as ttu_flags (ttu_flags_raw): TtuFlags,
        /// `continue` with the next VMA, or `stop`: a mapping could not be removed, or `page_mlock` found one that
        /// is VM_LOCKED.
        result: u32 as walk (walk_raw): WalkResult,
        /// Mappings left after the visit.
        mapcount: i32 as References is Mapcount,
        /// Always 0.
        reserved: u32,
        /// `try_to_unmap_one` in a VM_LOCKED VMA, without TTU_IGNORE_MLOCK: the entry at `address` before the
        /// visit. `?` in all other visits, and where page tables cannot be read.
        entry_before: u64 as entry_before (entry_before_raw): Entry,
        /// The same after the visit.
        entry_after: u64 as entry_after (entry_after_raw): Entry is EntryAfter,
        /// Time in the function.
        duration: u64 as Duration,
    }

    /// Body of the events of a walk over all mappings of one folio.
    FolioWalk {
        /// First page of the folio.
        page: u64 as pfn (page): Page is Page,
        /// Its page flags at return; `mlocked` after a `page_mlock` that found a VM_LOCKED mapping.
        flags: u64 as flags (flags_raw): PageFlags is Flags,
        /// Mappings left. The functions return nothing: of `try_to_unmap` and `try_to_migrate` 0 is the success.
        mapcount: i32 as References is Mapcount,
        /// Flags of the caller.
        ttu_flags: u32 as ttu_flags (ttu_flags_raw): TtuFlags,
        /// Time in the function.
        duration: u64 as Duration,
    }
}
