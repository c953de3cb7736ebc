//! A made-up kernel that does legal and illegal things at random and reports them as events.

mod exclusive;
mod history;
mod illegal;
mod kernel;
mod steps;
mod swiotlb;
mod walks;

pub use history::History;
pub use steps::{FAULTS, Illegal, Step};

use std::collections::BTreeMap;

use rmapscope::event::Body;

use exclusive::Exclusive;
use kernel::{FLAGS, MLOCKED, VM_LOCKED};
use swiotlb::Buffer;

/// Address spaces.
const SPACES: u64 = 3;

/// The kernel.
#[derive(Default)]
pub struct World {
    history: History,
    /// By address space and address.
    exclusive: BTreeMap<(u64, u64), Exclusive>,
    next_pfn: u64,
    buffers: BTreeMap<u64, Buffer>,
    leaked: BTreeMap<u64, Buffer>,
}

impl World {
    pub fn history(self) -> History {
        self.history
    }

    fn tell(&mut self, body: Body) {
        self.history.tell(100, body);
    }

    /// A space's `mm_struct`; one that ended is used again.
    fn mm(space: u64) -> u64 {
        0xffff_8880_0401_0000 + space * 0x1000
    }

    fn fresh_pfn(&mut self) -> u64 {
        self.next_pfn += 1;
        0x10000 + self.next_pfn
    }

    /// Does something legal; `random` chooses what with.
    pub fn legal(&mut self, step: Step, random: u64) {
        let space = random % SPACES;
        match step {
            Step::Make => drop(self.make(random)),
            Step::Restore => {
                if let Some((place, _)) = self.pick(random) {
                    self.restore(place, [0, VM_LOCKED][(random >> 33 & 1) as usize]);
                }
            }
            Step::RestoreOlder => {
                let pfn = self.fresh_pfn();
                let page = Exclusive { pfn, writable: false, soft_dirty: true };
                let restored = self.restored((space, 0x7e00_0000_0000), page, 0);
                self.tell(Body::RestoreExclusive(restored));
            }
            Step::Fork => self.fork(space, false),
            Step::FailedFork => self.fork(space, true),
            Step::Zap => {
                let start = 0x7f00_0000_0000 + (random >> 8) % 16 * 4096;
                self.zap(space, start, start + (1 + (random >> 16) % 4) * 4096);
            }
            Step::Move => {
                if let Some((place, _)) = self.pick(random) {
                    self.move_to(place);
                }
            }
            Step::Exit => self.exit(space),
            Step::Migrate => self.migrate(random, FLAGS),
            Step::Reclaim => {
                let pfn = self.fresh_pfn();
                self.tell(Body::TryToUnmap(Self::walk(pfn, FLAGS, 0x40)));
            }
            Step::ReclaimLocked => self.reclaim_locked(random),
            Step::Munlock => {
                let found = random >> 9 & 1 == 1;
                self.munlock(1 + random % 4, found, if found { FLAGS | MLOCKED } else { FLAGS });
            }
            Step::Map => drop(self.map(random)),
            Step::Unmap => {
                let count = self.buffers.len() as u64;
                let bounce =
                    (count > 0).then(|| self.buffers.keys().nth((random % count) as usize)).flatten();
                if let Some(bounce) = bounce.copied() {
                    self.unmap(bounce);
                }
            }
            Step::FailedMap => self.failed_map(random),
            Step::UnmapOlder => {
                let (bounce, buffer) = self.room(random);
                // In a part of memory that this session's buffers never have.
                let bounce = bounce + 0x1000_0000;
                if self.history.is_first_of(bounce) {
                    self.tell(Body::SwiotlbUnmapSingle(Self::given_back(bounce, buffer)));
                }
            }
            Step::KeptAndTaken => self.kept_and_taken(random),
        }
    }
}
