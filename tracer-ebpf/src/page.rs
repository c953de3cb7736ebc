//! State of a page, read at the moment of the event.

use tracer_common::event::{MAPCOUNT_UNKNOWN, UNKNOWN};
use tracer_common::globals::OFFSET_ABSENT;
use tracer_common::page;

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
    let (flags, mapcount) = M::load_two::<u64, i32>(
        head,
        global!(layout.page_size),
        global!(layout.page_flags),
        global!(layout.page_mapcount),
    );
    let Some(flags) = flags else {
        return PageState { flags: UNKNOWN, mapcount: MAPCOUNT_UNKNOWN };
    };
    PageState { flags, mapcount: mapcount_of(head, flags, mapcount) }
}

/// Mappings of a folio with those flags; `less_one` is what its first page says.
#[inline(always)]
fn mapcount_of(head: u64, flags: u64, less_one: Option<i32>) -> i32 {
    let less_one = if global!(entry.head_bit) == OFFSET_ABSENT {
        None
    } else if flags >> (global!(entry.head_bit) & 63) & 1 == 0 {
        less_one
    } else {
        // Behind the first `struct page` of the folio, where a typed `struct page *` does not reach.
        Probed::load::<i32>(head, global!(layout.folio_large_mapcount))
    };
    less_one.map_or(MAPCOUNT_UNKNOWN, |less_one| less_one.wrapping_add(1))
}

/// The same as [`state`] by two reads, for programs that have no room on their stack for one that takes all.
#[inline(always)]
pub fn state_by_parts(head: u64) -> PageState {
    let flags = flags::<Probed>(head);
    if flags == UNKNOWN {
        return PageState { flags, mapcount: MAPCOUNT_UNKNOWN };
    }
    let mapcount = Probed::load::<i32>(head, global!(layout.page_mapcount));
    PageState { flags, mapcount: mapcount_of(head, flags, mapcount) }
}

/// Raw flags of the page at `head`, or [`UNKNOWN`]: where no more is asked, that is one read less.
#[inline(always)]
pub fn flags<M: Memory>(head: u64) -> u64 {
    M::load::<u64>(head, global!(layout.page_flags)).unwrap_or(UNKNOWN)
}

/// The same of the folio that `page` belongs to; [`UNKNOWN`] where its head is not known.
#[inline(always)]
pub fn flags_of_any(page: u64) -> u64 {
    head(page).map_or(UNKNOWN, flags::<Probed>)
}

/// State of the folio that `page` belongs to, which may be a tail page: the flags that matter (locked,
/// mlocked) and the address space are those of the head. Nothing is known where the head is not.
#[inline(always)]
pub fn state_of_any(page: u64) -> PageState {
    match head(page) {
        Some(head) => state::<Probed>(head),
        None => PageState { flags: UNKNOWN, mapcount: MAPCOUNT_UNKNOWN },
    }
}

/// The head of a page's folio; `None` where this kernel's tails cannot be told from heads. Not for typed pointers:
/// the word shares its place with others, and the verifier takes it for a list.
#[inline(always)]
pub fn head(page: u64) -> Option<u64> {
    Probed::load::<u64>(page, global!(layout.page_compound_head)).map(|word| page::head(page, word))
}
