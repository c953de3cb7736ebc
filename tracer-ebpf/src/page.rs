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

/// State of the folio that `page` belongs to, which may be a tail page: the flags that matter (locked,
/// mlocked) and the address space are those of the head.
#[inline(always)]
pub fn state_of_any(page: u64) -> PageState {
    state::<Probed>(head(page))
}

/// The head of a page's folio (include/linux/page-flags.h, `_compound_head`). Not for typed pointers: the
/// word shares its place with others, and the verifier takes it for a list.
#[inline(always)]
pub fn head(page: u64) -> u64 {
    match Probed::load::<u64>(page, global!(layout.page_compound_head)) {
        Some(word) if word & 1 != 0 => word - 1,
        _ => page,
    }
}
