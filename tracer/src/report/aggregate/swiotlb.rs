//! Bounce buffers by device and pool.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use tracer_common::event::{
    BITS_UNKNOWN, Body, Kind, MAPPING_ERROR, SwiotlbMapSingle, SwiotlbPages, UNKNOWN,
};
use tracer_common::family::Family;

use super::histogram::Histogram;
use super::levels::Levels;
use super::moment::Moment;
use super::pools::Pools;
use crate::check::{NoRoom, NoRoomRequest};
use crate::event::{Event, Names};
use crate::follow::bounces::{Bounces, Change};
use crate::report::model::{Bounce, Coherent, Failure, Pool, Unit};

/// Most pairs of device and pool that are told apart.
const MOST_PAIRS: usize = 1 << 10;

/// Most mappings that are followed at the same time.
const MOST_LIVE: usize = 1 << 18;

/// Bytes of a slot (`IO_TLB_SIZE`, 6.12 include/linux/swiotlb.h).
const SLOT: u64 = 1 << 11;

/// What counts as one pool: all that are over [`MOST_PAIRS`].
const OTHERS: (u64, u64) = (0, 0);

/// A mapping that lives.
#[derive(Clone, Copy, Debug)]
struct Live {
    pair: (u64, u64),
    size: u64,
    slots: u64,
    made: u64,
}

/// One device in one pool.
#[derive(Debug, Default)]
struct Pair {
    device: String,
    bounds: Option<(u64, u64)>,
    forced: bool,
    mappings: u64,
    bytes: u64,
    slots: u64,
    synced: u64,
    time: u64,
    failures: BTreeMap<NoRoom, (u64, u64)>,
    sizes: Histogram,
    lifetimes: Histogram,
    levels: Levels,
    open: u64,
    open_bytes: u64,
    coherent: Option<Coherent>,
}

/// Sums up what bounced.
#[derive(Debug, Default)]
pub struct Swiotlb {
    pairs: FxHashMap<(u64, u64), Pair>,
    /// By the physical address of the bounce buffer.
    live: FxHashMap<u64, Live>,
    /// Coherent memory, by its first page.
    coherent: FxHashMap<u64, Live>,
    bounces: Bounces,
    pools: Pools,
}

/// Slots that a mapping takes. The buffer begins inside of its first slot where it keeps low bits of the original
/// address (6.12 kernel/dma/swiotlb.c, `swiotlb_tbl_map_single`; 6.1 is given the size to take).
fn slots(map: &SwiotlbMapSingle) -> u64 {
    let align_mask = u64::from(map.align_mask);
    let taken = if map.alloc_size == UNKNOWN {
        let offset = map.bounce & (align_mask | (SLOT - 1));
        map.size.saturating_add(offset).checked_next_multiple_of(align_mask + 1)
    } else {
        map.alloc_size.checked_add(map.bounce & (SLOT - 1))
    };
    taken.unwrap_or(u64::MAX).div_ceil(SLOT)
}

const fn cause(reason: NoRoom) -> &'static str {
    match reason {
        NoRoom::Exhausted => "exhausted",
        NoRoom::TooLarge => "too large",
        NoRoom::Fragmented => "alignment",
        NoRoom::Unknown => "unknown",
    }
}

impl Swiotlb {
    /// Takes an event; `admitted` mappings alone are counted, with whatever ended them.
    pub fn event(&mut self, event: &Event, moment: &Moment<'_>, admitted: bool) {
        if let Some(Change::End(bounce)) = self.bounces.follow(event) {
            self.unmapped(bounce, event.header.time, moment.since_start);
        }
        match &event.body {
            Body::SwiotlbMapSingle(map) if admitted => self.mapped(event, map, moment),
            Body::SwiotlbSyncForCpu(sync) | Body::SwiotlbSyncForDevice(sync) if admitted => {
                let pair = self.pair(self.key(sync.device, sync.pool), moment.names);
                pair.synced = pair.synced.saturating_add(sync.size);
            }
            Body::SwiotlbAlloc(pages) if admitted => self.allocated(event, pages, moment),
            Body::SwiotlbFree(pages) => self.freed(pages.page, moment.since_start),
            _ => {}
        }
    }

    /// What a device and a pool are counted as.
    fn key(&self, device: u64, pool: u64) -> (u64, u64) {
        let key = (device, pool);
        if self.pairs.len() < MOST_PAIRS || self.pairs.contains_key(&key) { key } else { OTHERS }
    }

    fn pair(&mut self, key: (u64, u64), names: &Names) -> &mut Pair {
        let pair = self.pairs.entry(key).or_default();
        if let Some(name) = names.device(key.0)
            && pair.device != name
        {
            name.clone_into(&mut pair.device);
        }
        pair
    }

    fn mapped(&mut self, event: &Event, map: &SwiotlbMapSingle, moment: &Moment<'_>) {
        // A mapping that is handed out again was given back unseen.
        if map.bounce != MAPPING_ERROR {
            self.forget(map.bounce, moment.since_start);
        }
        let is_followed = self.live.len() < MOST_LIVE;
        let key = self.key(map.device, map.pool);
        let pair = self.pair(key, moment.names);
        pair.bounds = pair.bounds.or(bounds(map.pool_start, map.pool_end));
        // force_bounce, or a restricted pool.
        pair.forced |= map.pool_bits != BITS_UNKNOWN && map.pool_bits != 0;
        pair.time = pair.time.saturating_add(map.duration);
        let bounds = pair.bounds;
        if key != OTHERS {
            self.pools.seen(map.pool, bounds, (map.used_slots != UNKNOWN).then_some(map.used_slots));
        }
        if map.bounce == MAPPING_ERROR {
            let Some(pair) = self.pairs.get_mut(&key) else { return };
            let (count, largest) =
                pair.failures.entry(NoRoom::of(&NoRoomRequest::of_mapping(map))).or_default();
            *count += 1;
            *largest = map.size.max(*largest);
            return;
        }
        let Some(pair) = self.pairs.get_mut(&key) else { return };
        let slots = slots(map);
        pair.mappings += 1;
        pair.bytes = pair.bytes.saturating_add(map.size);
        pair.slots = pair.slots.saturating_add(slots);
        pair.sizes.record(map.size);
        if !is_followed {
            return;
        }
        pair.levels.rise(moment.since_start, map.size, slots);
        pair.open += 1;
        pair.open_bytes = pair.open_bytes.saturating_add(map.size);
        self.pools.rise(key.1, moment.since_start, map.size, slots);
        let live = Live { pair: key, size: map.size, slots, made: event.header.time };
        self.live.insert(map.bounce, live);
    }

    fn allocated(&mut self, event: &Event, pages: &SwiotlbPages, moment: &Moment<'_>) {
        // Its end was not seen.
        self.freed(pages.page, moment.since_start);
        let is_followed = self.coherent.len() < MOST_LIVE;
        let key = self.key(pages.device, pages.pool);
        let pair = self.pair(key, moment.names);
        pair.bounds = pair.bounds.or(bounds(pages.pool_start, pages.pool_end));
        let (bounds, coherent) = (pair.bounds, pair.coherent.get_or_insert_default());
        let slots = pages.size.div_ceil(SLOT);
        if pages.result == 0 {
            coherent.failed += 1;
        } else {
            coherent.allocations += 1;
            coherent.bytes = coherent.bytes.saturating_add(pages.size);
            coherent.slots = coherent.slots.saturating_add(slots);
        }
        if key != OTHERS {
            self.pools.seen(pages.pool, bounds, (pages.used_slots != UNKNOWN).then_some(pages.used_slots));
        }
        if pages.result == 0 || !is_followed {
            return;
        }
        let Some(pair) = self.pairs.get_mut(&key) else { return };
        let coherent = pair.coherent.get_or_insert_default();
        coherent.open_bytes = coherent.open_bytes.saturating_add(pages.size);
        pair.levels.rise(moment.since_start, pages.size, slots);
        self.pools.rise(key.1, moment.since_start, pages.size, slots);
        let live = Live { pair: key, size: pages.size, slots, made: event.header.time };
        self.coherent.insert(pages.page, live);
    }

    /// Memory that was taken before the recording began is not known here.
    fn freed(&mut self, page: u64, since_start: u64) {
        let Some(live) = self.coherent.remove(&page) else { return };
        self.pools.fall(live.pair.1, since_start, live.size, live.slots);
        let Some(pair) = self.pairs.get_mut(&live.pair) else { return };
        pair.levels.fall(since_start, live.size, live.slots);
        if let Some(coherent) = &mut pair.coherent {
            coherent.open_bytes = coherent.open_bytes.saturating_sub(live.size);
        }
    }

    fn forget(&mut self, bounce: u64, since_start: u64) -> Option<(Live, &mut Pair)> {
        let live = self.live.remove(&bounce)?;
        self.pools.fall(live.pair.1, since_start, live.size, live.slots);
        let pair = self.pairs.get_mut(&live.pair)?;
        pair.open -= 1;
        pair.open_bytes = pair.open_bytes.saturating_sub(live.size);
        pair.levels.fall(since_start, live.size, live.slots);
        Some((live, pair))
    }

    fn unmapped(&mut self, bounce: u64, now: u64, since_start: u64) {
        if let Some((live, pair)) = self.forget(bounce, since_start) {
            pair.lifetimes.record(now.saturating_sub(live.made));
        }
    }

    /// Unmaps may be among what is missing.
    pub fn lost(&mut self, family: Option<Family>, since_start: u64) {
        if self.bounces.lost(family) {
            let bounces: Vec<u64> = self.live.keys().copied().collect();
            for bounce in bounces {
                self.forget(bounce, since_start);
            }
            let pages: Vec<u64> = self.coherent.keys().copied().collect();
            for page in pages {
                self.freed(page, since_start);
            }
        }
    }

    /// The report's parts, the most bytes first.
    pub fn finish(self) -> (Vec<Bounce>, Vec<Pool>) {
        let mut bounces: Vec<Bounce> = self.pairs.into_iter().map(|(key, pair)| pair.entry(key)).collect();
        // `struct device` addresses differ from boot to boot.
        bounces.sort_by(|one, other| {
            (other.bytes, &one.device, one.pool).cmp(&(one.bytes, &other.device, other.pool))
        });
        let pools = self.pools.finish(&bounces);
        (bounces, pools)
    }
}

/// First address of a pool and its bytes.
fn bounds(start: u64, end: u64) -> Option<(u64, u64)> {
    (start != UNKNOWN && end != UNKNOWN).then(|| (start, end.saturating_sub(start)))
}

impl Pair {
    fn entry(self, (device, pool): (u64, u64)) -> Bounce {
        let device = match self.device {
            _ if (device, pool) == OTHERS => "other devices".to_owned(),
            name if name.is_empty() => format!("{device:#x}"),
            name => name,
        };
        let failure = |(reason, (count, largest))| Failure { cause: cause(reason), count, largest };
        Bounce {
            device,
            pool,
            pool_start: self.bounds.map(|(start, _)| start),
            pool_size: self.bounds.map(|(_, size)| size),
            forced: self.forced,
            mappings: self.mappings,
            bytes: self.bytes,
            slots: self.slots,
            peak_bytes: self.levels.peak_bytes(),
            peak_slots: self.levels.peak_slots(),
            coherent: self.coherent,
            open_bytes: self.open_bytes,
            open: self.open,
            synced: self.synced,
            time: self.time,
            failures: self.failures.into_iter().map(failure).collect(),
            sizes: self.sizes.distribution(Kind::SwiotlbMapSingle.name(), Unit::Bytes),
            lifetimes: self.lifetimes.distribution(Kind::SwiotlbUnmapSingle.name(), Unit::Nanoseconds),
            levels: self.levels.finish(),
        }
    }
}
