//! What the stream has told so far about things that live: exclusive pages, bounce buffers, address spaces.
//!
//! Rules and diagnoses see it as it was before the event that they are given.

mod exclusive;
mod occupancy;
mod owners;
mod swiotlb;

pub use exclusive::{ExclusivePages, Live as LivePage};
pub use owners::Owners;
pub use swiotlb::{Mapping, Mappings};

use tracer_common::event::{Body, Kind};
use tracer_common::family::Family;

use super::facts::Facts;
use crate::event::Event;

/// Everything that is known to live.
#[derive(Debug, Default)]
pub struct State {
    /// Device-exclusive entries.
    pub exclusive: ExclusivePages,
    /// Bounce buffers.
    pub swiotlb: Mappings,
    /// Processes of address spaces.
    pub owners: Owners,
}

/// How much lives, of what nothing that is missing can have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// Device-exclusive entries.
    pub exclusive: u64,
    /// Bytes of bounce buffers.
    pub bounced: u64,
}

impl State {
    /// How much lives.
    pub fn live(&self) -> Live {
        Live { exclusive: self.exclusive.len() as u64, bounced: self.swiotlb.bytes() }
    }

    /// Whether events of that kind change it.
    pub const fn follows(kind: Kind) -> bool {
        matches!(
            kind,
            Kind::ExclusivePage
                | Kind::RestoreExclusive
                | Kind::ExclusiveZap
                | Kind::ExclusiveMove
                | Kind::ExclusiveExit
                | Kind::TryToUnmap
                | Kind::TryToMigrate
                | Kind::MakeDeviceExclusive
                | Kind::ExclusiveFault
                | Kind::CopyPageRange
                | Kind::MlockFixup
                | Kind::ProcessExec
                | Kind::ProcessExit
                | Kind::SwiotlbMap
                | Kind::SwiotlbMapSingle
                | Kind::SwiotlbUnmapSingle
        )
    }

    /// Takes an event into account.
    #[inline]
    pub fn follow(&mut self, event: &Event, facts: &Facts) {
        let header = &event.header;
        match &event.body {
            Body::TryToUnmap(walk) | Body::TryToMigrate(walk) => {
                self.exclusive.walked(walk.page, facts.is_head(walk.flags));
            }
            Body::SwiotlbMapSingle(_) | Body::SwiotlbMap(_) | Body::SwiotlbUnmapSingle(_) => {
                self.swiotlb.follow(event);
            }
            Body::ExclusivePage(page) => {
                self.exclusive.made(header, page);
            }
            Body::RestoreExclusive(restore) => {
                self.exclusive.ended(restore.mm, restore.address, restore.page)
            }
            Body::ExclusiveZap(zap) => self.exclusive.zapped(header, zap),
            Body::ExclusiveMove(moved) => self.exclusive.moved(moved),
            Body::ExclusiveExit(exit) => {
                self.exclusive.exited(exit.mm);
                self.owners.exited(exit.mm);
            }
            _ => self.owners.follow(event),
        }
    }

    /// Forgets what missing events of a family make doubtful; of any family for `None`.
    pub fn lost(&mut self, family: Option<Family>) {
        if matches!(family, None | Some(Family::Exclusive | Family::Rmap)) {
            self.exclusive.forget();
        }
        if matches!(family, None | Some(Family::Swiotlb)) {
            self.swiotlb.forget();
        }
    }
}
