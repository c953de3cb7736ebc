//! Sums of everything, by event, by process and by device.

use rustc_hash::FxHashMap;
use tracer_common::event::{COMM_LEN, Header, Kind};
use tracer_common::family::Family;

use super::groups::{Groups, Stats, table};
use super::moment::Moment;
use crate::event::{Body, Comm, Event, Names, Type, place, text_of};
use crate::event::{Weight, Weights};
use crate::report::model::{Distribution, Group, Key, Table, Unit};

/// Processes and devices whose place is remembered between two of their events.
const MOST_REMEMBERED: usize = 1 << 16;

/// The three tables that every report has.
#[derive(Debug)]
pub struct Tables {
    kinds: Vec<Stats>,
    processes: Groups<(u32, Option<[u8; COMM_LEN]>)>,
    /// Places of processes by their id, as long as none of their names can have changed.
    places: FxHashMap<u32, u32>,
    /// The process of the last event, with its place.
    latest: Option<(u32, u32)>,
    devices: Groups<String>,
    /// Places of devices by their address, as long as their name has not changed.
    device_places: FxHashMap<u64, u32>,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            kinds: vec![Stats::default(); Kind::ALL.len()],
            processes: Groups::default(),
            places: FxHashMap::default(),
            latest: None,
            devices: Groups::default(),
            device_places: FxHashMap::default(),
        }
    }
}

impl Tables {
    /// Takes a new name of a thread or device into account.
    pub fn renamed(&mut self, event: &Event) {
        self.forget_name(event.header.pid);
        match &event.body {
            Body::ProcessFork(fork) => self.forget_name(fork.child_pid),
            Body::ProcessRename(rename) => self.forget_name(rename.target_pid),
            Body::DeviceName(name) => {
                self.device_places.remove(&name.device);
            }
            _ => {}
        }
    }

    /// The name of that process may be another one now.
    pub fn forget_name(&mut self, pid: u32) {
        self.latest = None;
        self.places.remove(&pid);
    }

    /// Adds an event.
    #[inline]
    pub fn event(&mut self, event: &Event, moment: &Moment<'_>) {
        let weights = &moment.weights;
        self.kinds[place(event.kind())].add(weights, true);
        let pid = event.header.pid;
        let index = match self.latest {
            Some((latest, index)) if latest == pid => index,
            _ => self.process(&event.header, moment.names),
        };
        self.processes.add(index, weights);
        if event.kind().family() == Family::Swiotlb {
            self.device(event, moment);
        }
    }

    fn process(&mut self, header: &Header, names: &Names) -> u32 {
        let pid = header.pid;
        let index = match self.places.get(&pid) {
            Some(index) => *index,
            None => {
                let index = self.processes.index(&(pid, process_name(header, names)));
                if self.places.len() >= MOST_REMEMBERED {
                    self.places.clear();
                }
                self.places.insert(pid, index);
                index
            }
        };
        self.latest = Some((pid, index));
        index
    }

    fn device(&mut self, event: &Event, moment: &Moment<'_>) {
        let Some(address) = device(event) else { return };
        let index = match self.device_places.get(&address) {
            Some(index) => *index,
            None => {
                let index = self.devices.index(&*device_name(address, moment.names));
                if self.device_places.len() >= MOST_REMEMBERED {
                    self.device_places.clear();
                }
                self.device_places.insert(address, index);
                index
            }
        };
        self.devices.add(index, &moment.weights);
    }

    /// Everything together.
    pub fn total(&self) -> Weights {
        self.kinds.iter().fold(Weights::default(), |mut total, kind| {
            total.add(&kind.weights);
            total
        })
    }

    /// By event.
    pub fn events(&self, sort: Weight, top: usize) -> Table {
        let kinds = Kind::ALL.iter().zip(&self.kinds).filter(|(_, stats)| stats.weights.count > 0);
        let rows = kinds.map(|(kind, stats)| stats.row(vec![Group::Name(kind.name().to_owned())]));
        table(vec![Key::Event], rows.collect(), Weights::default(), sort, top)
    }

    /// By process.
    pub fn processes(&self, sort: Weight, top: usize) -> Table {
        let group = |(pid, name): &(u32, Option<[u8; COMM_LEN]>)| {
            let name = name.as_ref().map_or(Group::None, |name| Group::Name(text_of(name).into_owned()));
            vec![Group::Number(u64::from(*pid)), name]
        };
        self.processes.table(vec![Key::Pid, Key::Comm], group, sort, top)
    }

    /// By device.
    pub fn devices(&self, sort: Weight, top: usize) -> Table {
        self.devices.table(vec![Key::Device], |name| vec![Group::Name(name.clone())], sort, top)
    }

    /// Time in each probed function, in the order of the kinds.
    pub fn latencies(&self) -> Vec<Distribution> {
        let times =
            Kind::ALL.iter().zip(&self.kinds).filter_map(|(kind, stats)| Some((kind, stats.times.as_ref()?)));
        times.filter_map(|(kind, times)| times.distribution(kind.name(), Unit::Nanoseconds)).collect()
    }
}

/// The name of a process: that of its first thread, or where that is not known, of the one at hand.
fn process_name(header: &Header, names: &Names) -> Option<[u8; COMM_LEN]> {
    if header.pid == 0 {
        // Each CPU has an idle thread of its own name (kernel/sched/core.c, init_idle); together they are one.
        return Some(*Comm::from_text("swapper").bytes());
    }
    let leader = names.comm(&Header { tid: header.pid, ..*header });
    leader.or_else(|| names.comm(header)).map(|name| *name.bytes())
}

/// Address of the event's `struct device`; `None` for events without.
pub fn device(event: &Event) -> Option<u64> {
    let field = event.kind().fields().iter().find(|field| field.ty == Type::Device)?;
    Some(field.number(event.body.bytes()))
}

/// The name of a device, its address where it has none, `?` where it could not be read.
pub fn device_name(address: u64, names: &Names) -> String {
    match names.device(address) {
        _ if address == 0 => "?".to_owned(),
        Some(name) => name.to_owned(),
        None => format!("{address:#x}"),
    }
}
