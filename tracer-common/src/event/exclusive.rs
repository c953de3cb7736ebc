//! Device-exclusive entries: made, restored, revoked, dropped.

use super::field::bodies;

bodies! {
    /// Body of `Kind::MakeDeviceExclusive`.
    MakeDeviceExclusive {
        /// Address space whose pages are asked for.
        mm: u64 as Object is Mm,
        /// First address.
        start: u64 as Hex is Start,
        /// Address after the last.
        end: u64 as Hex is End,
        /// The driver's cookie for its own notifier; 0x0 is legal.
        owner: u64 as Hex,
        /// Up to 6.14: pages found in the range; 6.15 on: 0; or -errno.
        result: i64 as result (result_raw): Result,
        /// Pages that did become exclusive, each with an `exclusive_page`.
        made: u32 as Count is Pages,
        /// Pages of a very long range that were not looked at.
        unchecked: u32 as Count,
        /// Time in the function.
        duration: u64 as Duration,
    }

    /// Body of `Kind::ExclusivePage`, as the page is when the call returns.
    ExclusivePage {
        /// Address space that was asked for.
        mm: u64 as Object is Mm,
        /// Address of the page.
        address: u64 as Hex is Address,
        /// The page.
        page: u64 as pfn (page): Page is Page,
        /// Its page flags; it is handed out locked.
        ///
        /// Those of the head page where it is a large folio.
        flags: u64 as flags (flags_raw): PageFlags is Flags,
        /// `anon`, `ksm`, `file` or `movable`, from the low bits of `page->mapping`.
        ///
        /// Low bits of `page->mapping` (of the head page): 1 anonymous, 3 KSM, 0 file; or `BITS_UNKNOWN`.
        mapping_bits: u32 as mapping (mapping_bits): MappingBits,
        /// Up to 6.14: 0, because the entry is no mapping; 6.15 on: as before.
        mapcount: i32 as References is Mapcount,
        /// References; the entry and the driver hold one each.
        refcount: i32 as References is Refcount,
        /// Always 0.
        reserved: u32,
    }

    /// Body of `Kind::RestoreExclusive`.
    RestoreExclusive in the order [
        mm, address, pfn, flags, mapcount, vm_flags, old_entry, new_entry, in_fork, mlocks, duration
    ] {
        /// Address space of the entry.
        mm: u64 as Object is Mm,
        /// Its address.
        address: u64 as Hex is Address,
        /// The page.
        page: u64 as pfn (page): Page is Page,
        /// Its page flags at return.
        flags: u64 as flags (flags_raw): PageFlags is Flags,
        /// Flags of the VMA.
        ///
        /// `vma->vm_flags` at return.
        vm_flags: u64 as vm_flags (vm_flags_raw): VmFlags,
        /// The exclusive entry, read at the function's entry.
        old_entry: u64 as old_entry (old_entry_raw): Entry,
        /// The entry that took its place.
        new_entry: u64 as new_entry (new_entry_raw): Entry is EntryAfter,
        /// Mappings at return.
        mapcount: i32 as References is Mapcount,
        /// The thread was inside `copy_page_range`.
        in_fork: u32 as Truth,
        /// Calls of `mlock_folio` inside (`mlock_vma_page` up to 5.17); `?` where that function is not watched.
        mlocks: u32 as OptionalCount,
        /// Always 0.
        reserved: u32,
        /// Time in the function.
        duration: u64 as Duration,
    }

    /// Body of `Kind::ExclusiveFault`.
    ExclusiveFault {
        /// Address space of the fault; `?` when the function gave up the lock (VM_FAULT_RETRY) and the VMA may be
        /// gone.
        mm: u64 as Object is Mm,
        /// Faulting address, page aligned.
        address: u64 as Hex is Address,
        /// The exclusive entry.
        ///
        /// `vmf->orig_pte`.
        entry: u64 as entry (entry_raw): Entry is HeldPage,
        /// FAULT_FLAG_*.
        ///
        /// `vmf->flags`.
        fault_flags: u32 as fault_flags (fault_flags_raw): FaultFlags,
        /// VM_FAULT_*.
        result: u32 as fault_result (fault_result_raw): FaultResult,
        /// Time in the function.
        duration: u64 as Duration,
    }

    /// Body of `Kind::ExclusiveZap`, taken at function entry.
    ExclusiveZap {
        /// Address space.
        mm: u64 as Object is Mm,
        /// First address.
        start: u64 as Hex is Start,
        /// Address after the last.
        end: u64 as Hex is End,
    }

    /// Body of `Kind::ExclusiveMove`.
    ExclusiveMove {
        /// Address space.
        mm: u64 as Object is Mm,
        /// First address that was moved.
        old_address: u64 as Hex is Start,
        /// Where it went.
        new_address: u64 as Hex,
        /// Bytes moved: fewer than asked for when a page table could not be allocated. Then a second event moves
        /// them back.
        length: u64 as Bytes is Length,
    }

    /// Body of `Kind::ExclusiveExit`, taken at function return: no page table is left.
    ExclusiveExit {
        /// Its `mm_struct`; another address space may have its place soon.
        mm: u64 as Object is Mm,
    }
}
