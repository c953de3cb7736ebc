//! Tracks: their numbers, and which of them were described.

use rustc_hash::{FxHashMap, FxHashSet};

use super::messages::{CounterDescriptor, ProcessDescriptor, SIZE_BYTES, ThreadDescriptor, TrackDescriptor};
use crate::event::{Family, Header, Names};
use crate::export::nesting::Nesting;
use crate::export::states::{Place, State};
use crate::export::threads::{Named, Threads};

/// Tracks of different sorts never have the same number: the sort is in the highest bits, process and thread ids
/// (below 2^22) and other numbers in those below.
fn uuid(sort: u64, high: u64, low: u64) -> u64 {
    sort << 56 | (high & 0xff_ffff) << 32 | (low & 0xffff_ffff)
}

const PROCESS: u64 = 1;
const THREAD: u64 = 2;
const THREAD_ROW: u64 = 0x10;
const IDLE: u64 = 3;
const STATE: u64 = 4;
const DEVICE: u64 = 5;
const POOL: u64 = 6;
const LOST: u64 = 7;
const LOST_ROW: u64 = 0x50;
const SESSION: u64 = 8;

/// Whose calls nest with each other: a thread's, or those of a CPU's idle thread.
type Owner = (u32, u32, u16);

/// The tracks of a trace. Every method gives a track's number and adds to `news` what has to be described before.
#[derive(Debug, Default)]
pub struct Tracks {
    threads: Threads,
    nesting: FxHashMap<Owner, Nesting>,
    losses: FxHashMap<Option<Family>, Nesting>,
    numbers: FxHashMap<u64, u64>,
    described: FxHashSet<u64>,
    /// Descriptions to be written before the next event.
    pub news: Vec<TrackDescriptor>,
}

impl Tracks {
    /// The track of an event: a call's row where it lasted, otherwise its thread.
    pub fn of_event(&mut self, header: &Header, names: &Names, call: Option<(u64, u64)>) -> u64 {
        if header.tid == 0 {
            let owner = (0, 0, header.cpu);
            let row = self.row(owner, call);
            let parent = self.plain(uuid(IDLE, 0, 0), "idle", None);
            let name = format!("swapper/{}", header.cpu);
            return self.plain(uuid(IDLE, row + 1, header.cpu.into()), &name, Some(parent));
        }
        for (named, name) in self.threads.follow(header, names) {
            self.news.push(match named {
                Named::Process(pid) => TrackDescriptor {
                    uuid: Some(uuid(PROCESS, 0, pid.into())),
                    process: Some(ProcessDescriptor { pid: Some(pid as i32), process_name: Some(name) }),
                    ..TrackDescriptor::default()
                },
                Named::Thread(pid, tid) => TrackDescriptor {
                    uuid: Some(uuid(THREAD, pid.into(), tid.into())),
                    parent_uuid: Some(uuid(PROCESS, 0, pid.into())),
                    thread: Some(ThreadDescriptor {
                        pid: Some(pid as i32),
                        tid: Some(tid.into()),
                        thread_name: Some(name),
                    }),
                    ..TrackDescriptor::default()
                },
            });
        }
        let thread = uuid(THREAD, header.pid.into(), header.tid.into());
        match self.row((header.pid, header.tid, 0), call) {
            0 => thread,
            row => {
                let row = row.min(0x3f);
                let uuid = uuid(THREAD_ROW + row, header.pid.into(), header.tid.into());
                self.plain(uuid, "overlapping calls", Some(thread))
            }
        }
    }

    fn row(&mut self, owner: Owner, call: Option<(u64, u64)>) -> u64 {
        call.map_or(0, |(begin, end)| self.nesting.entry(owner).or_default().row(begin, end) as u64)
    }

    /// The track of a state, which no other state has at its time.
    pub fn of_state(&mut self, state: &State, names: Option<&Names>) -> u64 {
        let (parent, place) = match state.place {
            // Idle threads have no process.
            Place::Process(0) => (self.plain(uuid(IDLE, 0, 0), "idle", None), 0),
            Place::Process(pid) => (uuid(PROCESS, 0, pid.into()), u64::from(pid)),
            Place::Device(device) => {
                let number = self.number(device);
                let name = names.and_then(|names| names.device(device));
                let name =
                    name.map_or_else(|| format!("device {device:#x}"), |name| format!("device {name}"));
                (self.plain(uuid(DEVICE, 0, number), &name, None), number)
            }
        };
        let sort = 0xa0 + (STATE << 2) + state.what as u64;
        self.plain(uuid(sort, state.lane.into(), place), state.what.name(), Some(parent))
    }

    /// The counter of a pool.
    pub fn of_pool(&mut self, pool: u64) -> u64 {
        let uuid = uuid(POOL, 0, self.number(pool));
        if self.described.insert(uuid) {
            self.news.push(TrackDescriptor {
                uuid: Some(uuid),
                name: Some(format!("swiotlb pool {pool:#x}: bytes bounced")),
                counter: Some(CounterDescriptor { unit: Some(SIZE_BYTES) }),
                ..TrackDescriptor::default()
            });
        }
        uuid
    }

    /// The track of events that are missing, where they do not overlap with others.
    pub fn of_loss(&mut self, family: Option<Family>, begin: u64, end: u64) -> u64 {
        let row = self.losses.entry(family).or_default().row(begin, end) as u64;
        let parent = self.plain(uuid(LOST, 0, 0), "lost events", None);
        let number = family.map_or(0, |family| family as u64 + 1);
        let name = family.map_or("of any family", Family::name);
        self.plain(uuid(LOST_ROW + row.min(0x2f), 0, number), name, Some(parent))
    }

    /// The track that has what the recording says about itself.
    pub fn of_session(&mut self) -> u64 {
        self.plain(uuid(SESSION, 0, 0), "recording", None)
    }

    fn number(&mut self, object: u64) -> u64 {
        let next = self.numbers.len() as u64 + 1;
        *self.numbers.entry(object).or_insert(next)
    }

    fn plain(&mut self, uuid: u64, name: &str, parent: Option<u64>) -> u64 {
        if self.described.insert(uuid) {
            self.news.push(TrackDescriptor {
                uuid: Some(uuid),
                name: Some(name.to_owned()),
                parent_uuid: parent,
                ..TrackDescriptor::default()
            });
        }
        uuid
    }
}
