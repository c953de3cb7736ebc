//! A page that a driver wanted to migrate: what was asked, what its folio says, and the record of why it does not.

use tracer_common::event::{
    BITS_UNKNOWN, MAPCOUNT_UNKNOWN, MIGRATE_SELECT_DEVICE_COHERENT, MIGRATE_SELECT_DEVICE_PRIVATE,
    MIGRATE_SELECT_SYSTEM, MigrateVmaRefused, RefusalReason, RefusalStep, UNKNOWN,
};
use tracer_common::globals::OFFSET_ABSENT;

use crate::emit::Reservation;
use crate::entry::page_shift;
use crate::globals::global;
use crate::memory::{Memory, Probed};
use crate::page;

/// What is the same for all pages of a call.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Asked {
    pub mm: u64,
    pub vma: u64,
    pub start: u64,
    pub end: u64,
    pub owner: u64,
    pub fault_page: u64,
    pub select: u32,
    reserved: u32,
}

impl Asked {
    /// By a driver that takes pages of its device back, wherever they are mapped.
    pub const BACK: Self = Self {
        mm: 0,
        vma: UNKNOWN,
        start: UNKNOWN,
        end: UNKNOWN,
        owner: UNKNOWN,
        fault_page: 0,
        select: BITS_UNKNOWN,
        reserved: 0,
    };

    /// By a `struct migrate_vma`.
    #[inline(always)]
    pub fn by(args: u64) -> Self {
        let mut asked = Self::BACK;
        asked.read(args);
        asked
    }

    /// The same where it lies: a program that has a loop has no room for a copy on its stack.
    #[inline(always)]
    pub fn read(&mut self, args: u64) {
        self.vma = word(args, global!(layout.migrate_vma_vma));
        self.mm = word(self.vma, global!(layout.vma_mm));
        self.start = word(args, global!(layout.migrate_vma_start));
        self.end = word(args, global!(layout.migrate_vma_end));
        self.owner = word(args, global!(layout.migrate_vma_owner));
        self.fault_page = word(args, global!(layout.migrate_vma_fault_page));
        self.select = Probed::load(args, global!(layout.migrate_vma_flags)).unwrap_or(BITS_UNKNOWN);
    }

    /// Whether system memory is asked for.
    #[inline(always)]
    pub fn is_of_system(&self) -> bool {
        self.select != BITS_UNKNOWN && self.select & MIGRATE_SELECT_SYSTEM != 0
    }

    /// Whether memory of a device is.
    #[inline(always)]
    pub fn is_of_device(&self) -> bool {
        const DEVICE: u32 = MIGRATE_SELECT_DEVICE_PRIVATE | MIGRATE_SELECT_DEVICE_COHERENT;
        self.select == BITS_UNKNOWN || self.select & DEVICE != 0
    }

    /// 1 for the page that a CPU touched, which the fault holds.
    #[inline(always)]
    pub fn held_by_fault(&self, page: u64) -> i32 {
        if page == self.fault_page { 1 } else { 0 }
    }
}

#[inline(always)]
pub fn word(base: u64, offset: u32) -> u64 {
    Probed::load::<u64>(base, offset).unwrap_or(UNKNOWN)
}

/// What a folio's first page says.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Folio {
    pub page: u64,
    pub flags: u64,
    pub mapcount: i32,
    pub refcount: i32,
    pub mapping: u64,
}

impl Folio {
    /// The folio with that first page.
    #[inline(always)]
    pub fn at(page: u64) -> Self {
        let state = page::state_by_parts(page);
        Self {
            page,
            flags: state.flags,
            mapcount: state.mapcount,
            refcount: Probed::load(page, global!(layout.page_refcount)).unwrap_or(MAPCOUNT_UNKNOWN),
            mapping: word(page, global!(layout.page_mapping)),
        }
    }

    /// Whether all that the kernel compares was read.
    #[inline(always)]
    pub fn is_known(&self) -> bool {
        self.flags != UNKNOWN
            && self.mapping != UNKNOWN
            && self.mapcount != MAPCOUNT_UNKNOWN
            && self.refcount != MAPCOUNT_UNKNOWN
            && global!(entry.swap_cache) != 0
            && global!(entry.locked_bit) != OFFSET_ABSENT
            && global!(entry.head_bit) != OFFSET_ABSENT
    }

    #[inline(always)]
    pub fn is_large(&self) -> bool {
        self.flags >> (global!(entry.head_bit) & 63) & 1 != 0
    }

    #[inline(always)]
    pub fn is_locked(&self) -> bool {
        self.flags >> (global!(entry.locked_bit) & 63) & 1 != 0
    }

    /// PAGE_MAPPING_ANON (include/linux/page-flags.h).
    #[inline(always)]
    pub fn is_anonymous(&self) -> bool {
        self.mapping & 1 != 0
    }

    /// Whether it is a file's.
    #[inline(always)]
    pub fn is_of_file(&self) -> bool {
        self.mapping != 0 && self.mapping & 3 == 0
    }

    #[inline(always)]
    pub fn is_in_swap_cache(&self) -> bool {
        let mask = global!(entry.swap_cache);
        self.is_anonymous() && self.flags & mask == mask
    }

    /// References that mappings and caches explain, and `own` of the migration (6.12 mm/migrate_device.c,
    /// `migrate_vma_check_page`).
    #[inline(always)]
    pub fn expected(&self, own: i32) -> i32 {
        if !self.is_known() {
            return MAPCOUNT_UNKNOWN;
        }
        let mut count = own + self.mapcount;
        if self.is_in_swap_cache() || self.is_of_file() {
            count += 1;
            if self.flags & global!(entry.private) != 0 {
                count += 1;
            }
        }
        count
    }

    /// Why the page was given up after it was isolated, or as a device's.
    #[inline(always)]
    pub fn refused(&self, expected: i32) -> RefusalReason {
        if !self.is_known() {
            RefusalReason::Unknown
        } else if self.mapcount > 0 {
            RefusalReason::Mapped
        } else if self.refcount > expected {
            RefusalReason::Pinned
        } else if self.is_large() {
            RefusalReason::Large
        } else {
            RefusalReason::Unknown
        }
    }

    /// Its address in the VMA that migrates (6.12 mm/internal.h, `vma_address`); unknown for KSM, whose pages have another
    /// place in each VMA.
    #[inline(always)]
    pub fn address(&self, asked: &Asked) -> u64 {
        let index = word(self.page, global!(layout.folio_index));
        let first = word(asked.vma, global!(layout.vma_pgoff));
        let start = word(asked.vma, global!(layout.vma_start));
        if index == UNKNOWN || first == UNKNOWN || start == UNKNOWN || self.mapping & 3 == 3 {
            return UNKNOWN;
        }
        let address = start.wrapping_add(index.wrapping_sub(first) << page_shift());
        if address >= asked.start && address < asked.end { address } else { UNKNOWN }
    }

    /// Pages of a folio that is given up as a whole.
    #[inline(always)]
    pub fn pages(&self) -> u32 {
        if self.flags != UNKNOWN && self.is_large() { 1 << (global!(entry.huge_order) & 31) } else { 1 }
    }
}

/// One page that does not migrate.
pub struct Refused<'a> {
    pub asked: &'a Asked,
    pub address: u64,
    pub folio: &'a Folio,
    pub step: RefusalStep,
    pub reason: RefusalReason,
    pub expected: i32,
    pub pages: u32,
}

impl Refused<'_> {
    /// Sends its record.
    #[inline(always)]
    pub fn send(&self, room: Reservation<MigrateVmaRefused>) {
        let Self { asked, address, folio, step, reason, expected, pages } = *self;
        room.send(MigrateVmaRefused {
            mm: asked.mm,
            address,
            page: folio.page,
            flags: folio.flags,
            owner: asked.owner,
            fault_page: asked.fault_page,
            select: asked.select,
            step: step as u32,
            reason: reason as u32,
            pages,
            refcount: folio.refcount,
            expected,
            mapcount: folio.mapcount,
            reserved: 0,
        });
    }
}
