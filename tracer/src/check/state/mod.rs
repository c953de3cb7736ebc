//! What the stream has told so far about things that live: exclusive pages, bounce buffers, address spaces.
//!
//! Rules and diagnoses see it as it was before the event that they are given.

mod occupancy;
mod swiotlb;

pub use swiotlb::{Mapping, Mappings};

use tracer_common::event::Kind;
use tracer_common::family::Family;

use crate::event::Event;
use crate::follow::exclusive::ExclusivePages;
use crate::follow::spaces::Spaces;
use crate::kernel::Description;

/// Everything that is known to live.
#[derive(Debug)]
pub struct State {
    /// Device-exclusive entries.
    pub exclusive: ExclusivePages,
    /// Bounce buffers.
    pub swiotlb: Mappings,
    /// Address spaces and their processes.
    pub spaces: Spaces,
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
    /// Nothing lives yet, on the kernel described.
    pub fn new(kernel: &Description) -> Self {
        Self {
            exclusive: ExclusivePages::new(kernel),
            swiotlb: Mappings::default(),
            spaces: Spaces::default(),
        }
    }

    /// How much lives.
    pub fn live(&self) -> Live {
        Live { exclusive: self.exclusive.len() as u64, bounced: self.swiotlb.bytes() }
    }

    /// Whether events of that kind change it.
    pub const fn follows(kind: Kind) -> bool {
        ExclusivePages::follows(kind)
            || matches!(
                kind,
                Kind::MakeDeviceExclusive
                    | Kind::ExclusiveFault
                    | Kind::CopyPageRange
                    | Kind::MlockFixup
                    | Kind::MigrateVmaSetup
                    | Kind::ProcessFork
                    | Kind::ProcessExec
                    | Kind::ProcessExit
                    | Kind::SwiotlbMap
                    | Kind::SwiotlbMapSingle
                    | Kind::SwiotlbUnmapSingle
            )
    }

    /// Takes an event into account.
    #[inline]
    pub fn follow(&mut self, event: &Event) {
        match event.kind().family() {
            Family::Swiotlb => self.swiotlb.follow(event),
            Family::Rmap => self.exclusive.follow(event),
            _ => {
                // Whose those are that are seen from now on is soon known again.
                if self.spaces.is_full() {
                    self.spaces = Spaces::default();
                }
                self.exclusive.follow(event);
                self.spaces.before(event);
                self.spaces.after(event);
            }
        }
    }

    /// Forgets what missing events of a family make doubtful; of any family for `None`.
    pub fn lost(&mut self, family: Option<Family>) {
        self.exclusive.lost(family);
        self.swiotlb.lost(family);
    }
}
