//! What an event is about: which pages, and where they are mapped.

use tracer_common::event::{MigrationEntry, UNKNOWN};

use crate::event::{Body, Decoder, EntryState, Event};

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
    /// The address space that they are or were mapped in. Migration entries do not tell it.
    pub mm: Option<u64>,
    /// The user address that they have in it.
    pub address: Option<u64>,
}

impl Subject {
    /// Of an event whose numbers `decoder` knows. Events of whole ranges are about no single page.
    pub fn of(event: &Event, decoder: &Decoder) -> Self {
        let page = |page: u64| decoder.pfn(page).map(|pfn| Frames { pfn, count: 1 });
        let folio = |address: u64| Self { frames: [page(address), None], ..Self::default() };
        let mapped =
            |mm, address, pages| Self { frames: [pages, None], mm: Some(mm), address: Some(address) };
        match &event.body {
            Body::ExclusivePage(made) => mapped(made.mm, made.address, page(made.page)),
            Body::RestoreExclusive(restore) => mapped(restore.mm, restore.address, page(restore.page)),
            Body::ExclusiveFault(fault) => mapped(
                fault.mm,
                fault.address,
                held(fault.entry, decoder).map(|pfn| Frames { pfn, count: 1 }),
            ),
            Body::ExclusiveVma(visit)
            | Body::TryToUnmapOne(visit)
            | Body::TryToMigrateOne(visit)
            | Body::PageMlockOne(visit) => mapped(visit.mm, visit.address, page(visit.page)),
            Body::TryToUnmap(walk) | Body::TryToMigrate(walk) | Body::PageMlock(walk) => folio(walk.page),
            Body::MlockFolio(mlock) | Body::MunlockFolio(mlock) => folio(mlock.page),
            Body::MigrateRefused(refused) => folio(refused.page),
            Body::MigrateVmaSetup(setup) if setup.unlocked_page != 0 => {
                Self { mm: Some(setup.mm), ..folio(setup.unlocked_page) }
            }
            Body::MigrationEntrySet(entry) | Body::MigrationEntryRemoved(entry) => {
                Self { frames: [entry_frames(entry, decoder), None], mm: None, address: Some(entry.address) }
            }
            Body::RemoveMigrationPte(visit) => Self {
                frames: [page(visit.old_page), page(visit.new_page)],
                mm: Some(visit.mm),
                address: Some(visit.address),
            },
            Body::SwiotlbAlloc(pages) | Body::SwiotlbFree(pages) if pages.page != 0 => folio(pages.page),
            _ => Self::default(),
        }
    }

    /// Whether one of its pages is that one.
    pub fn is_about(&self, pfn: u64) -> bool {
        self.frames.iter().flatten().any(|frames| frames.contains(pfn))
    }
}

/// The page frame number in a page-table entry, present or special.
pub fn held(raw: u64, decoder: &Decoder) -> Option<u64> {
    match decoder.entry(raw)?.state {
        EntryState::Present { pfn } | EntryState::Swap { pfn, .. } => pfn,
        EntryState::None => None,
    }
}

/// A removed entry is named by the present one that took its place: the event's own page is unknown then.
fn entry_frames(entry: &MigrationEntry, decoder: &Decoder) -> Option<Frames> {
    let named = (entry.page != UNKNOWN).then(|| decoder.pfn(entry.page)).flatten();
    let pfn = named.or_else(|| held(entry.entry, decoder))?;
    Some(Frames { pfn, count: 1_u64.checked_shl(entry.order).unwrap_or(1) })
}
