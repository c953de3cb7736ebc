//! One look at all clients: a walk over the open files of all processes.
//!
//! A client is what the DRM core makes of one open of a node (`struct drm_file`). Its descriptor can be duplicated,
//! inherited and passed on: it is one client all the same, with several holders. It is known by its id, which drivers
//! print, or else as an open file, which the kernel compares. Where neither is possible, what a process holds of a device
//! is one row, and its number of clients is unknown.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use super::device::Device;
use super::fdinfo::{Fdinfo, MOST_BYTES};
use super::nodes::{DeviceNumber, Majors, NodeKind};
use super::procfs::{ProcessFolder, Procfs};
use super::same_file::{self, Descriptor, OpenFiles};
use crate::clock;
use crate::kernel::SystemFiles;

/// Who holds a client open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// When it was started, in clock ticks since boot: tells it from a later one with the same id.
    pub start: u64,
    /// What it calls itself. Escape it.
    pub comm: String,
    /// The numbers of its descriptors, in order.
    pub descriptors: Vec<u32>,
}

/// How a client is known from one look to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identity {
    /// By the id that its driver prints.
    Id(u64),
    /// As an open file: a process, its start, and a descriptor.
    File(u32, u64, u32),
    /// As what a process has open of the device.
    Process(u32, u64),
}

/// Why there is nothing in fdinfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It was not looked for: the driver has none.
    NotLookedFor,
    /// It may not be read.
    Denied,
    /// It cannot be read.
    Failed,
}

/// A client as it stood.
#[derive(Clone, Debug)]
pub struct Client {
    /// The node that it was opened by.
    pub number: DeviceNumber,
    /// How it is known.
    pub identity: Identity,
    /// Who holds it, the eldest first. Never empty.
    pub holders: Vec<Holder>,
    /// What its driver says of it.
    pub fdinfo: Result<Fdinfo, Unread>,
    /// When that was read, `CLOCK_MONOTONIC` in nanoseconds.
    pub time: u64,
}

/// What a look took, and what it did not see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Processes that were looked at.
    pub processes: u64,
    /// Processes that the kernel does not let us look at.
    pub denied: u64,
    /// Processes that ended meanwhile.
    pub vanished: u64,
    /// Open files that were looked at.
    pub descriptors: u64,
    /// How often an fdinfo was read.
    pub fdinfo_reads: u64,
    /// Only the holders of clients were looked at, because the DRM core lists no other clients than before.
    pub holders_alone: bool,
    /// Processes that had become holders since the last look at everything without being in that list.
    pub missed: u64,
    /// Clients that the DRM core lists beyond those that were found: nothing but a mapping may be left of them, or their
    /// holders may not be looked at; `None` where it does not show its list.
    pub unheld: Option<u64>,
    /// Nanoseconds, with the list.
    pub time: u64,
}

/// All clients as they stood.
#[derive(Clone, Debug)]
pub struct Look {
    /// When the look began, `CLOCK_MONOTONIC` in nanoseconds.
    pub time: u64,
    /// The clients, by device and eldest holder.
    pub clients: Vec<Client>,
    /// Their devices.
    pub devices: BTreeMap<DeviceNumber, Device>,
    /// What it took.
    pub effort: Effort,
}

/// Which processes are looked at.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// All of them.
    Everything,
    /// These.
    Processes(&'a BTreeSet<u32>),
}

impl Look {
    /// Looks at processes.
    ///
    /// # Errors
    /// When there is no procfs, or it cannot be listed.
    pub(super) fn take(system: &SystemFiles, majors: &Majors, scope: Scope<'_>) -> io::Result<Self> {
        let time = clock::now();
        let procfs = Procfs::open(system)?;
        let mut walk = Walk::new(majors, procfs.is_own());
        let pids = match scope {
            Scope::Everything => procfs.pids()?,
            Scope::Processes(pids) => pids.iter().copied().collect(),
        };
        walk.effort.holders_alone = matches!(scope, Scope::Processes(_));
        for pid in pids {
            match procfs.process(pid).and_then(|process| walk.process(pid, &process)) {
                Ok(()) => walk.effort.processes += 1,
                Err(error) => walk.not_seen(&error),
            }
        }
        let devices = walk.devices.iter().map(|(number, (kind, target))| {
            (*number, Device::read(system, *number, *kind, target.as_deref()))
        });
        let devices = devices.collect();
        let mut clients = walk.clients;
        for client in &mut clients {
            client.holders.sort_by_key(|holder| (holder.start, holder.pid));
        }
        clients.sort_by_key(|client| {
            let eldest = client.holders.first();
            (client.number, eldest.map(|holder| (holder.start, holder.pid)), client.identity)
        });
        Ok(Self { time, clients, devices, effort: walk.effort })
    }
}

/// A look under way.
struct Walk<'a> {
    majors: &'a Majors,
    /// Whether the kernel can compare open files for us.
    compares: bool,
    clients: Vec<Client>,
    known: HashMap<(DeviceNumber, Identity), usize>,
    files: HashMap<DeviceNumber, OpenFiles>,
    /// The kind of each device, and what a descriptor's link names.
    devices: BTreeMap<DeviceNumber, (NodeKind, Option<String>)>,
    effort: Effort,
}

impl<'a> Walk<'a> {
    fn new(majors: &'a Majors, compares: bool) -> Self {
        Self {
            majors,
            compares,
            clients: Vec::new(),
            known: HashMap::new(),
            files: HashMap::new(),
            devices: BTreeMap::new(),
            effort: Effort::default(),
        }
    }

    fn not_seen(&mut self, error: &io::Error) {
        if error.kind() == io::ErrorKind::PermissionDenied {
            self.effort.denied += 1;
        } else {
            self.effort.vanished += 1;
        }
    }

    fn process(&mut self, pid: u32, process: &ProcessFolder<'_>) -> io::Result<()> {
        let mut found = Vec::new();
        self.effort.descriptors += process.devices(|descriptor, number| {
            found.extend(self.majors.kind(number).map(|kind| (descriptor, number, kind)));
        })?;
        if found.is_empty() {
            return Ok(());
        }
        let stat = process.stat()?;
        for (descriptor, number, kind) in found {
            self.devices.entry(number).or_insert_with(|| (kind, process.target(descriptor)));
            let fdinfo = self.fdinfo(process, kind, descriptor);
            // Closed meanwhile.
            let Some(fdinfo) = fdinfo else { continue };
            let index = self.client(number, fdinfo, Descriptor { pid, number: descriptor }, stat.start);
            let holders = &mut self.clients[index].holders;
            match holders.iter_mut().find(|holder| holder.pid == pid && holder.start == stat.start) {
                Some(holder) => holder.descriptors.push(descriptor),
                None => holders.push(Holder {
                    pid,
                    start: stat.start,
                    comm: stat.comm.clone(),
                    descriptors: vec![descriptor],
                }),
            }
        }
        Ok(())
    }

    /// What a descriptor's driver says; `None` when the descriptor is gone.
    fn fdinfo(
        &mut self,
        process: &ProcessFolder<'_>,
        kind: NodeKind,
        descriptor: u32,
    ) -> Option<Result<Fdinfo, Unread>> {
        if !kind.has_clients() {
            return Some(Err(Unread::NotLookedFor));
        }
        self.effort.fdinfo_reads += 1;
        // One byte more shows that there is more.
        match process.fdinfo(descriptor, MOST_BYTES as u64 + 1) {
            Ok(bytes) => Some(Ok(Fdinfo::parse(&bytes))),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound => None,
                io::ErrorKind::PermissionDenied => Some(Err(Unread::Denied)),
                _ => Some(Err(Unread::Failed)),
            },
        }
    }

    /// The place of the client behind a descriptor: that of a known one, or a new one's.
    fn client(
        &mut self,
        number: DeviceNumber,
        fdinfo: Result<Fdinfo, Unread>,
        descriptor: Descriptor,
        start: u64,
    ) -> usize {
        let of_process = Identity::Process(descriptor.pid, start);
        let identity = match &fdinfo {
            Err(Unread::NotLookedFor) => of_process,
            Ok(Fdinfo { client_id: Some(id), .. }) => Identity::Id(*id),
            _ if self.compares => {
                let files = self.files.entry(number).or_default();
                match files.find_or_insert(descriptor, self.clients.len(), same_file::compare) {
                    Ok(known) if known < self.clients.len() => return known,
                    Ok(_) => Identity::File(descriptor.pid, start, descriptor.number),
                    // The other process is gone, or may not be looked at.
                    Err(_) => of_process,
                }
            }
            _ => of_process,
        };
        *self.known.entry((number, identity)).or_insert_with(|| {
            let time = clock::now();
            self.clients.push(Client { number, identity, holders: Vec::new(), fdinfo, time });
            self.clients.len() - 1
        })
    }
}
