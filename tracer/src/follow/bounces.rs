//! Bounce buffers: which event begins and ends which.
//!
//! A buffer begins when `swiotlb_tbl_map_single` takes slots, and ends when they are unmapped, or when `swiotlb_map`
//! returns an error after that: the device cannot reach them, and it gives them back itself. Up to 6.x it does so
//! without an unmap that could be seen (6.12 kernel/dma/swiotlb.c, `swiotlb_map` and `swiotlb_release_slots`), from
//! 7.x on by `__swiotlb_tbl_unmap_single`, so that the unmap comes before the answer (7.3 kernel/dma/swiotlb.c).

use std::collections::VecDeque;

use tracer_common::event::{Body, Header, MAPPING_ERROR, SwiotlbMap};
use tracer_common::family::Family;

use crate::event::Event;

/// Buffers for which the answer of `swiotlb_map` may still come. Users of `swiotlb_tbl_map_single` itself
/// (6.12 drivers/iommu/dma-iommu.c) never send one.
const MOST_UNANSWERED: usize = 64;

/// What an event does to a buffer, which is known by its physical address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Its slots are taken. If it still lived, its end was not seen.
    Begin(u64),
    /// `swiotlb_map` gives it to its caller.
    Answered(u64),
    /// Its slots are given back.
    End(u64),
}

/// A buffer whose `swiotlb_map` has not returned.
#[derive(Clone, Copy, Debug)]
struct Unanswered {
    tid: u32,
    device: u64,
    original: u64,
    bounce: u64,
    time: u64,
    /// Whether its slots belong to somebody else by now.
    is_over: bool,
}

/// Follows the buffers of a stream.
#[derive(Debug, Default)]
pub struct Bounces {
    unanswered: VecDeque<Unanswered>,
}

impl Bounces {
    /// Takes an event into account.
    #[inline]
    pub fn follow(&mut self, event: &Event) -> Option<Change> {
        let header = &event.header;
        match &event.body {
            Body::SwiotlbMapSingle(map) if map.bounce != MAPPING_ERROR => {
                for waiting in self.unanswered.iter_mut().filter(|waiting| waiting.bounce == map.bounce) {
                    waiting.is_over = true;
                }
                if self.unanswered.len() >= MOST_UNANSWERED {
                    self.unanswered.pop_front();
                }
                self.unanswered.push_back(Unanswered {
                    tid: header.tid,
                    device: map.device,
                    original: map.original,
                    bounce: map.bounce,
                    time: header.time,
                    is_over: false,
                });
                Some(Change::Begin(map.bounce))
            }
            Body::SwiotlbMap(map) => {
                let answered = self.find(header, map).and_then(|index| self.unanswered.remove(index))?;
                let is_error = map.dma_address == MAPPING_ERROR;
                let change = if is_error { Change::End } else { Change::Answered };
                (!answered.is_over).then(|| change(answered.bounce))
            }
            Body::SwiotlbUnmapSingle(unmap) => {
                self.unanswered.retain(|waiting| waiting.is_over || waiting.bounce != unmap.bounce);
                Some(Change::End(unmap.bounce))
            }
            _ => None,
        }
    }

    /// Address and time of the buffer that this answer of `swiotlb_map` is about.
    pub fn answered_by(&self, header: &Header, map: &SwiotlbMap) -> Option<(u64, u64)> {
        self.find(header, map).map(|index| (self.unanswered[index].bounce, self.unanswered[index].time))
    }

    #[inline]
    fn find(&self, header: &Header, map: &SwiotlbMap) -> Option<usize> {
        self.unanswered.iter().rposition(|waiting| {
            waiting.tid == header.tid && waiting.original == map.original && waiting.device == map.device
        })
    }

    /// Forgets what missing events of a family make doubtful, of any family for `None`: answers and unmaps may be among
    /// them. Says whether that was so: then it is not known of any buffer whether it still lives.
    pub fn lost(&mut self, family: Option<Family>) -> bool {
        let is_doubtful = matches!(family, None | Some(Family::Swiotlb));
        if is_doubtful {
            self.unanswered.clear();
        }
        is_doubtful
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::event::{SwiotlbMapSingle, SwiotlbUnmapSingle};

    use super::*;
    use crate::event::{Item, Kind, synthetic};

    const BOUNCE: u64 = 0x7c00_0800;

    fn event(kind: Kind, tid: u32) -> Event {
        let events = synthetic::stream().into_iter().filter_map(|item| match item {
            Item::Event(event) => Some(event),
            _ => None,
        });
        let mut event = events.into_iter().find(|event| event.kind() == kind).expect("one of each kind");
        event.header.tid = tid;
        event
    }

    fn taken(tid: u32) -> Event {
        let mut event = event(Kind::SwiotlbMapSingle, tid);
        if let Body::SwiotlbMapSingle(map) = &mut event.body {
            *map = SwiotlbMapSingle { bounce: BOUNCE, device: 8, original: 0x1000, ..*map };
        }
        event
    }

    fn answer(tid: u32, dma_address: u64) -> Event {
        let mut event = event(Kind::SwiotlbMap, tid);
        if let Body::SwiotlbMap(map) = &mut event.body {
            *map = SwiotlbMap { dma_address, device: 8, original: 0x1000, ..*map };
        }
        event
    }

    fn unmap(tid: u32) -> Event {
        let mut event = event(Kind::SwiotlbUnmapSingle, tid);
        if let Body::SwiotlbUnmapSingle(unmap) = &mut event.body {
            *unmap = SwiotlbUnmapSingle { bounce: BOUNCE, ..*unmap };
        }
        event
    }

    fn changes(events: &[Event]) -> Vec<Option<Change>> {
        let mut bounces = Bounces::default();
        events.iter().map(|event| bounces.follow(event)).collect()
    }

    #[test]
    fn a_buffer_ends_by_its_unmap() {
        let (begin, answered, end) =
            (Some(Change::Begin(BOUNCE)), Some(Change::Answered(BOUNCE)), Some(Change::End(BOUNCE)));
        assert_eq!(changes(&[taken(1), answer(1, 5), unmap(2)]), [begin, answered, end]);
        // Whoever asks swiotlb_tbl_map_single itself gets no answer of swiotlb_map.
        assert_eq!(changes(&[taken(1), unmap(1), answer(1, 5)]), [begin, end, None]);
    }

    #[test]
    fn an_error_of_swiotlb_map_ends_the_buffer_that_it_took() {
        let (begin, end) = (Some(Change::Begin(BOUNCE)), Some(Change::End(BOUNCE)));
        assert_eq!(changes(&[taken(1), answer(1, MAPPING_ERROR)]), [begin, end]);
        // 7.3 unmaps inside of swiotlb_map.
        assert_eq!(changes(&[taken(1), unmap(1), answer(1, MAPPING_ERROR)]), [begin, end, None]);
        // Somebody else has the slots by the time that the error is told.
        assert_eq!(changes(&[taken(1), taken(2), answer(1, MAPPING_ERROR)]), [begin, begin, None]);
        assert_eq!(changes(&[answer(1, MAPPING_ERROR)]), [None]);
    }
}
