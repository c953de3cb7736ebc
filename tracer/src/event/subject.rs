//! What an event is about: which pages, and where they are mapped.

use tracer_common::event::{Question, Role, UNKNOWN};

use super::roles::Roles;
use super::{Decoder, EntryState, Event};

/// Pages from a page frame number on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frames {
    /// The first.
    pub pfn: u64,
    /// How many; 1 for a large folio whose size the event does not tell.
    pub count: u64,
}

impl Frames {
    /// Whether the page is among them.
    pub const fn contains(&self, pfn: u64) -> bool {
        pfn >= self.pfn && pfn - self.pfn < self.count
    }
}

/// What an event is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The pages: one, or source and destination of a migration in that order.
    pub frames: [Option<Frames>; 2],
    /// The address space that they are or were mapped in. Migration entries do not give it.
    pub mm: Option<u64>,
    /// The user address that they have in it.
    pub address: Option<u64>,
}

impl Subject {
    /// Of an event whose numbers `decoder` knows. Events of whole ranges are about no single page.
    #[inline]
    pub fn of(event: &Event, decoder: &Decoder) -> Self {
        event.body.ask(SubjectOf(decoder))
    }

    /// Whether one of its pages is that one.
    pub fn is_about(&self, pfn: u64) -> bool {
        self.frames.iter().flatten().any(|frames| frames.contains(pfn))
    }
}

struct SubjectOf<'a>(&'a Decoder);

impl Question for SubjectOf<'_> {
    type Answer = Subject;

    #[inline(always)]
    fn ask<const KIND: u16>(self, body: &[u8]) -> Subject {
        let number = |role| const { Roles::of_number(KIND) }.get(role, body);
        let Self(decoder) = self;
        let named = number(Role::Page).or_else(|| number(Role::VisitedPage));
        let entry = number(Role::HeldPage);
        // 0 is no page, where that can be.
        if named == Some(0) || named.is_none() && entry.is_none() {
            return Subject::default();
        }
        // The page of an entry that was removed is not named, but the entry that took its place holds it.
        let pfn = named
            .filter(|page| *page != UNKNOWN)
            .and_then(|page| decoder.pfn(page))
            .or_else(|| held(entry?, decoder));
        let order = number(Role::Order).and_then(|order| u32::try_from(order).ok());
        let count = order.map_or(1, |order| 1_u64.checked_shl(order).unwrap_or(1));
        let new = number(Role::NewPage).and_then(|page| decoder.pfn(page));
        Subject {
            frames: [pfn.map(|pfn| Frames { pfn, count }), new.map(|pfn| Frames { pfn, count: 1 })],
            mm: number(Role::Mm),
            address: number(Role::Address),
        }
    }
}

/// The page frame number in a page-table entry, present or special.
pub fn held(raw: u64, decoder: &Decoder) -> Option<u64> {
    match decoder.entry(raw)?.state {
        EntryState::Present { pfn } | EntryState::Swap { pfn, .. } => pfn,
        EntryState::None => None,
    }
}
