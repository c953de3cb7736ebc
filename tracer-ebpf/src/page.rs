//! State of a page, read at the moment of the event.

use tracer_common::event::{MAPCOUNT_UNKNOWN, UNKNOWN};

use crate::globals::global;
use crate::memory::{Memory, Probed};

/// Raw flags and mappings of a folio.
pub struct PageState {
    /// `page->flags`, or [`UNKNOWN`].
    pub flags: u64,
    /// Mappings, or [`MAPCOUNT_UNKNOWN`].
    pub mapcount: i32,
}

/// State of the folio whose head page is at `head`, a `struct folio *` or `struct page *` argument.
#[inline(always)]
pub fn state<M: Memory>(head: u64) -> PageState {
    let Some(flags) = M::load::<u64>(head, global!(layout.page_flags)) else {
        return PageState { flags: UNKNOWN, mapcount: MAPCOUNT_UNKNOWN };
    };
    let mapcount = if flags >> (global!(entry.head_bit) & 63) & 1 == 0 {
        M::load::<i32>(head, global!(layout.page_mapcount))
    } else {
        // Behind the first `struct page` of the folio, where a typed `struct page *` does not reach.
        Probed::load::<i32>(head, global!(layout.folio_large_mapcount))
    };
    PageState { flags, mapcount: mapcount.map_or(MAPCOUNT_UNKNOWN, |less_one| less_one.wrapping_add(1)) }
}

/// State of the folio that `page`, maybe a tail page, belongs to. The flags that matter (locked, mlocked)
/// and the address space are those of the head.
#[inline(always)]
pub fn state_of_any<M: Memory>(page: u64) -> PageState {
    match tail_head::<M>(page) {
        Some(head) => state::<Probed>(head),
        None => state::<M>(page),
    }
}

/// The head of a tail page; `None` for a page that is no tail
/// (include/linux/page-flags.h, `_compound_head`).
#[inline(always)]
pub fn tail_head<M: Memory>(page: u64) -> Option<u64> {
    let word: u64 = M::load(page, global!(layout.page_compound_head))?;
    if word & 1 != 0 { Some(word - 1) } else { None }
}
