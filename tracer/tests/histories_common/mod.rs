//! What lives in a history from when to when, found anew and as simply as can be: lists, searched from one end to the
//! other.

use std::collections::BTreeMap;

use rmapscope::event::{Body, Event, Family, Item, Loss};
use tracer_common::event::{
    ExclusiveMove, ExclusivePage, ExclusiveZap, FolioWalk, MAPPING_ERROR, MigrationEntry, RestoreExclusive,
    SwiotlbMap, SwiotlbMapSingle, SwiotlbUnmapSingle,
};

/// Any event at all, of few pages, addresses, threads and buffers, so that they meet.
pub fn event(what: u8, random: u64) -> (u32, Body) {
    let of = |at: u32, many: u64| (random >> at) % many;
    let (mm, page) = (0x1000 + of(0, 2) * 0x1000, 0xffff_ea00_0000_0000 + of(4, 6) * 64);
    let address = 0x7f00_0000_0000 + of(8, 6) * 4096;
    let (original, bounce) = (0x10_0000 + of(12, 2) * 4096, 0x7c00_0000 + of(16, 3) * 4096);
    let failed = of(20, 3) == 0;
    let entry = MigrationEntry { address, entry: 0, page, flags: 0, order: 0, reserved: 0 };
    let body = match what % 10 {
        0 | 1 => Body::ExclusivePage(ExclusivePage {
            mm,
            address,
            page,
            flags: 1,
            mapping_bits: 1,
            mapcount: 0,
            refcount: 2,
            reserved: 0,
        }),
        2 => Body::RestoreExclusive(RestoreExclusive {
            mm,
            address,
            page,
            flags: 1,
            vm_flags: 0,
            old_entry: 0,
            new_entry: 0,
            mapcount: 1,
            in_fork: 0,
            mlocks: 0,
            reserved: 0,
            duration: 0,
        }),
        3 => Body::ExclusiveZap(ExclusiveZap { mm, start: address, end: address + 8192 }),
        // What mremap moves does not overlap with where it goes.
        4 => Body::ExclusiveMove(ExclusiveMove {
            mm,
            old_address: 0x7f00_0000_0000 + of(8, 2) * 4096,
            new_address: 0x7f00_0000_0000 + (3 + of(24, 2)) * 4096,
            length: 4096 + of(28, 2) * 4096,
        }),
        5 => Body::TryToUnmap(FolioWalk {
            page,
            flags: if failed { HEAD } else { 1 },
            mapcount: 0,
            ttu_flags: 0,
            duration: 0,
        }),
        6 if failed => Body::MigrationEntryRemoved(entry),
        6 => Body::MigrationEntrySet(entry),
        7 => Body::SwiotlbMapSingle(SwiotlbMapSingle {
            device: 8,
            pool: 16,
            pool_start: 0,
            pool_end: u64::MAX,
            original,
            bounce,
            size: 512,
            alloc_size: 512,
            attributes: 0,
            direction: 1,
            pool_bits: 0,
            used_slots: 0,
            align_mask: 0,
            reserved: 0,
            duration: 0,
        }),
        8 => Body::SwiotlbMap(SwiotlbMap {
            device: 8,
            original,
            size: 512,
            dma_address: if failed { MAPPING_ERROR } else { bounce },
            attributes: 0,
            direction: 1,
            reserved: 0,
            duration: 0,
        }),
        _ => Body::SwiotlbUnmapSingle(SwiotlbUnmapSingle {
            device: 8,
            pool: 16,
            bounce,
            size: 512,
            slot_original: original,
            slot_size: 512,
            attributes: 0,
            direction: 1,
            reserved: 0,
        }),
    };
    (100 + of(32, 2) as u32, body)
}

/// How many ended, by what they were and what ended them, in the words of a timeline.
pub type Ends = BTreeMap<(&'static str, &'static str), u64>;

const LOST: &str = "unknown: events were lost";
const OPEN: &str = "no end in the trace";

/// PG_head of the made-up kernel.
const HEAD: u64 = 1 << 6;

/// Pages of the largest folio.
const FOLIO: u64 = 512;

struct Entry {
    mm: u64,
    address: u64,
    page: u64,
}

struct Buffer {
    tid: u32,
    device: u64,
    original: u64,
    bounce: u64,
    lives: bool,
    is_answered: bool,
}

/// Everything that began.
#[derive(Default)]
pub struct Model {
    exclusive: Vec<Entry>,
    buffers: Vec<Buffer>,
    /// Thread and address of migration entries.
    migrating: Vec<(u32, u64)>,
    ends: Ends,
}

impl Model {
    pub fn of(items: impl Iterator<Item = Item>) -> Ends {
        let mut model = Self::default();
        for item in items {
            match item {
                Item::Event(event) => model.event(&event),
                Item::Loss(loss) => model.loss(&loss),
                _ => {}
            }
        }
        for family in [Family::Exclusive, Family::Migrate, Family::Swiotlb] {
            model.end_all(family, OPEN);
        }
        model.ends
    }

    fn ended(&mut self, what: &'static str, by: &'static str, count: usize) {
        if count > 0 {
            *self.ends.entry((what, by)).or_default() += count as u64;
        }
    }

    fn end_exclusive(&mut self, by: &'static str, is_over: impl Fn(&Entry) -> bool) {
        let before = self.exclusive.len();
        self.exclusive.retain(|entry| !is_over(entry));
        self.ended("device-exclusive", by, before - self.exclusive.len());
    }

    fn end_bounces(&mut self, by: &'static str, is_over: impl Fn(&Buffer) -> bool) {
        let over = self.buffers.iter_mut().filter(|buffer| buffer.lives && is_over(buffer));
        let count = over.map(|buffer| buffer.lives = false).count();
        self.ended("bounced", by, count);
    }

    fn end_all(&mut self, family: Family, by: &'static str) {
        match family {
            Family::Exclusive | Family::Rmap => self.end_exclusive(by, |_| true),
            Family::Migrate => {
                let count = std::mem::take(&mut self.migrating).len();
                self.ended("migration entry", by, count);
            }
            Family::Swiotlb => {
                self.end_bounces(by, |_| true);
                self.buffers.clear();
            }
            _ => {}
        }
    }

    fn loss(&mut self, loss: &Loss) {
        match loss.family() {
            Some(family) => self.end_all(family, LOST),
            None => Family::ALL.into_iter().for_each(|family| self.end_all(family, LOST)),
        }
    }

    fn event(&mut self, event: &Event) {
        let (tid, by) = (event.header.tid, event.kind().name());
        match &event.body {
            Body::ExclusivePage(made) => {
                let (mm, address, page) = (made.mm, made.address, made.page);
                self.end_exclusive(by, |entry| {
                    entry.page == page || (entry.mm, entry.address) == (mm, address)
                });
                self.exclusive.push(Entry { mm, address, page });
            }
            Body::RestoreExclusive(restored) => self.end_exclusive(by, |entry| {
                entry.page == restored.page || (entry.mm, entry.address) == (restored.mm, restored.address)
            }),
            Body::ExclusiveZap(zap) => {
                let range = zap.start..zap.end;
                self.end_exclusive(by, |entry| entry.mm == zap.mm && range.contains(&entry.address));
            }
            Body::ExclusiveExit(exit) => self.end_exclusive(by, |entry| entry.mm == exit.mm),
            Body::ExclusiveMove(moved) => {
                let range = moved.old_address..moved.old_address + moved.length;
                let to = |address: u64| address - moved.old_address + moved.new_address;
                let goes = |entry: &Entry| entry.mm == moved.mm && range.contains(&entry.address);
                let taken: Vec<_> = self
                    .exclusive
                    .iter()
                    .filter(|entry| goes(entry))
                    .map(|entry| to(entry.address))
                    .collect();
                self.end_exclusive(by, |entry| {
                    entry.mm == moved.mm && !goes(entry) && taken.contains(&entry.address)
                });
                for entry in self.exclusive.iter_mut().filter(|entry| goes(entry)) {
                    entry.address = to(entry.address);
                }
            }
            Body::TryToUnmap(walk) | Body::TryToMigrate(walk) => {
                let pages = if walk.flags & HEAD != 0 { FOLIO } else { 1 };
                let folio = walk.page..walk.page + pages * 64;
                self.end_exclusive(by, |entry| folio.contains(&entry.page));
            }
            Body::MigrationEntrySet(entry) => self.migrating.push((tid, entry.address)),
            Body::MigrationEntryRemoved(entry) => {
                if let Some(first) = self.migrating.iter().position(|place| *place == (tid, entry.address)) {
                    self.migrating.remove(first);
                    self.ended("migration entry", by, 1);
                }
            }
            Body::SwiotlbMapSingle(map) if map.bounce != MAPPING_ERROR => {
                self.end_bounces(by, |buffer| buffer.bounce == map.bounce);
                let (device, original, bounce) = (map.device, map.original, map.bounce);
                self.buffers.push(Buffer { tid, device, original, bounce, lives: true, is_answered: false });
            }
            Body::SwiotlbMap(map) => {
                let question = (tid, map.device, map.original);
                let asks = |buffer: &Buffer| {
                    !buffer.is_answered && (buffer.tid, buffer.device, buffer.original) == question
                };
                let Some(asked) = self.buffers.iter().rposition(asks) else { return };
                self.buffers[asked].is_answered = true;
                if map.dma_address == MAPPING_ERROR && std::mem::take(&mut self.buffers[asked].lives) {
                    self.ended("bounced", by, 1);
                }
            }
            Body::SwiotlbUnmapSingle(unmap) => {
                for buffer in self.buffers.iter_mut().filter(|buffer| buffer.lives) {
                    buffer.is_answered |= buffer.bounce == unmap.bounce;
                }
                self.end_bounces(by, |buffer| buffer.bounce == unmap.bounce);
            }
            _ => {}
        }
    }
}
