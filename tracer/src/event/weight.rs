//! How much one event counts for.
//!
//! Tables, flame graphs and comparisons can all be asked to weigh events by any of these.

use serde::Serialize;
use tracer_common::event::Question;

use super::Event;
use super::roles::{Roles, Weighing};

/// What events are summed up by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// Every event is one.
    #[default]
    Count,
    /// Nanoseconds in the probed function; 0 where latency was not recorded.
    Time,
    /// Pages that the event is about.
    Pages,
    /// Bytes that were bounced or allocated, or the pages' size.
    Bytes,
}

impl Weight {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Count, Self::Time, Self::Pages, Self::Bytes];

    /// The name on the command line and in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Time => "time",
            Self::Pages => "pages",
            Self::Bytes => "bytes",
        }
    }

    /// The unit of a sum, for people.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Count => "events",
            Self::Time => "nanoseconds",
            Self::Pages => "pages",
            Self::Bytes => "bytes",
        }
    }
}

/// Events summed up by every [`Weight`]. Sums stop at the largest number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Weights {
    /// Events.
    pub count: u64,
    /// Nanoseconds in the probed functions.
    pub time: u64,
    /// Pages.
    pub pages: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Weights {
    /// Those of one event. A folio counts as one page where the event does not tell its size.
    #[inline]
    pub fn of(event: &Event, page_size: u64) -> Self {
        event.body.ask(WeightsOf { page_size })
    }

    /// Adds another sum.
    #[inline]
    pub fn add(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.time = self.time.saturating_add(other.time);
        self.pages = self.pages.saturating_add(other.pages);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    /// The sum by one weight.
    pub const fn get(&self, weight: Weight) -> u64 {
        match weight {
            Weight::Count => self.count,
            Weight::Time => self.time,
            Weight::Pages => self.pages,
            Weight::Bytes => self.bytes,
        }
    }
}

struct WeightsOf {
    page_size: u64,
}

impl Question for WeightsOf {
    type Answer = Weights;

    #[inline(always)]
    fn ask<const KIND: u16>(self, body: &[u8]) -> Weights {
        let roles = const { Roles::of_number(KIND) };
        let time = roles.duration.read(body);
        let pages_of = |bytes: u64| bytes.checked_div(self.page_size).unwrap_or_default();
        let pages = match roles.weighing {
            Weighing::Bytes(bytes) => return Weights { count: 1, time, pages: 0, bytes: bytes.read(body) },
            Weighing::Nothing => 0,
            Weighing::Page => 1,
            Weighing::Pages(pages, more) => pages.read(body).saturating_add(more.read(body)),
            Weighing::Order(number) => u32::try_from(number.read(body))
                .ok()
                .and_then(|order| 1_u64.checked_shl(order))
                .unwrap_or_default(),
            Weighing::Range(start, end) => pages_of(end.read(body).saturating_sub(start.read(body))),
            Weighing::Length(number) => pages_of(number.read(body)),
        };
        Weights { count: 1, time, pages, bytes: pages.saturating_mul(self.page_size) }
    }
}
