//! What the programs counted instead of making records: their tables, read where the kernel keeps them.

use std::os::fd::AsFd;
use std::time::Duration;

use aya::maps::{HashMap, Map, MapData, MapError};
use rustc_hash::FxHashMap;
use tracer_common::counting::{Counting, FIXED, Group, NUMBERED, fixed};
use tracer_common::event::Kind;
use tracer_common::globals::Options;

use super::object;
use super::tables::{HISTOGRAM_BYTES, SLOT_BYTES, Tables};
use crate::stat::{By, Cell, GroupKey, Key, Question};
use crate::{Error, open_files};

/// What a session counts instead of sending it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountingOptions {
    /// What.
    pub question: Question,
    /// How often its sink is told, beside at the end.
    pub interval: Option<Duration>,
}

/// Slots of a CPU that are found by their key, at most.
const MOST_SLOTS: usize = 4096;
/// The same where each has a histogram.
const MOST_HISTOGRAMS: usize = 512;
/// The fewest.
const FEWEST_SLOTS: usize = 16;
/// Bytes of all tables together, unless the fewest slots of many CPUs take more.
const MOST_BYTES: usize = 64 << 20;

/// The mask of the slots of a CPU that are found by their key: there is a power of two of them.
pub fn slot_mask(histograms: bool, cpus: usize) -> u32 {
    let (most, bytes) =
        if histograms { (MOST_HISTOGRAMS, SLOT_BYTES + HISTOGRAM_BYTES) } else { (MOST_SLOTS, SLOT_BYTES) };
    let mut slots = most;
    while slots > FEWEST_SLOTS && (slots + FIXED) * bytes * cpus > MOST_BYTES {
        slots /= 2;
    }
    slots as u32 - 1
}

/// How large the tables are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Slots of all CPUs.
    pub slots: u32,
    /// Histograms of all CPUs.
    pub buckets: u32,
    /// Groups that are given numbers.
    pub groups: u32,
}

impl Sizes {
    /// Those of a session with these options; next to nothing where it does not count.
    pub fn of(options: &Options, cpus: usize) -> Self {
        if options.counting == Counting::Off as u8 {
            return Self { slots: 1, buckets: 1, groups: 1 };
        }
        let slots = (slots_of_cpu(options) * cpus) as u32;
        let is_numbered = options.by >= Group::Name as u8;
        Self {
            slots,
            buckets: if options.histograms != 0 { slots } else { 1 },
            groups: if is_numbered { NUMBERED } else { 1 },
        }
    }
}

fn slots_of_cpu(options: &Options) -> usize {
    FIXED + options.slot_mask as usize + 1
}

/// Writes what the programs must know of the tables.
///
/// # Errors
/// When the kernel does not say how many CPUs there are.
pub fn write(options: &mut Options) -> Result<(), Error> {
    options.slot_mask = slot_mask(options.histograms != 0, object::cpus()? as usize);
    Ok(())
}

/// Reads the tables.
pub struct CountReader {
    question: Question,
    tables: Tables,
    groups: HashMap<MapData, [u64; 2], u32>,
    /// Groups that were given a number, as far as they were asked for.
    numbered: FxHashMap<u32, [u64; 2]>,
    cpus: usize,
    of_cpu: usize,
}

impl CountReader {
    /// Takes the maps over.
    ///
    /// # Errors
    /// When they have another shape, or cannot be mapped.
    pub fn new(
        question: Question,
        options: &Options,
        mut take: impl FnMut(&'static str) -> Result<Map, Error>,
    ) -> Result<Self, Error> {
        let (cpus, of_cpu) = (object::cpus()? as usize, slots_of_cpu(options));
        let mut map = |name| match take(name)? {
            Map::Array(map) => Ok(map),
            _ => Err(shape(&name)),
        };
        let slots = map("SLOTS")?;
        let buckets = (options.histograms != 0).then(|| map("BUCKETS")).transpose()?;
        let buckets = buckets.as_ref().map(|map| map.fd().as_fd());
        let tables = Tables::new(slots.fd().as_fd(), buckets, cpus * of_cpu).map_err(|error| {
            let remedy = open_files::remedy(&error, "this is a bug in rmapscope; please report it");
            Error::failure(format!("cannot map the tables of counts: {error}"), remedy)
        })?;
        let groups = HashMap::try_from(take("GROUPS")?).map_err(|error: MapError| shape(&error))?;
        Ok(Self { question, tables, groups, numbered: FxHashMap::default(), cpus, of_cpu })
    }

    /// Every probe is attached: what was counted before does not count.
    pub fn begin(&mut self) {
        self.tables.begin();
    }

    /// Probes are about to be detached: what is counted from now on does not count.
    pub fn close(&mut self) {
        self.tables.close();
    }

    /// How many events of each kind were counted before or after that, in any order.
    pub fn outside(&self) -> Vec<(Kind, u64)> {
        let fixed =
            |cpu: usize| Kind::ALL.iter().map(move |kind| (cpu * self.of_cpu + fixed(*kind as u16), *kind));
        let own = |cpu: usize| {
            let slots = cpu * self.of_cpu + FIXED..(cpu + 1) * self.of_cpu;
            slots.filter_map(|slot| Some((slot, kind(self.tables.key(slot))?)))
        };
        let slots = (0..self.cpus).flat_map(|cpu| fixed(cpu).chain(own(cpu)));
        slots.map(|(slot, kind)| (kind, self.tables.outside(slot))).filter(|(_, count)| *count > 0).collect()
    }

    /// What was counted so far, by CPU.
    pub fn read(&mut self) -> Vec<(Key, Cell)> {
        let mut counted = Vec::new();
        for cpu in 0..self.cpus {
            let begin = cpu * self.of_cpu;
            for kind in Kind::ALL {
                let slot = begin + fixed(*kind as u16);
                let is_all = self.question.by == By::Event
                    || matches!(self.question.by, By::Field(_)) && self.question.by.field(*kind).is_none();
                let group = if is_all { GroupKey::All } else { GroupKey::Other };
                if let Some(cell) = self.tables.cell(slot) {
                    counted.push((Key { kind: *kind, group }, cell));
                }
            }
            for slot in begin + FIXED..begin + self.of_cpu {
                if let Some(key) = self.key(slot)
                    && let Some(cell) = self.tables.cell(slot)
                {
                    counted.push((key, cell));
                }
            }
        }
        counted
    }

    fn key(&mut self, slot: usize) -> Option<Key> {
        let key = self.tables.key(slot);
        let kind = kind(key)?;
        let number = key as u32;
        let group = match self.question.by {
            By::Name => GroupKey::Name(name(self.numbered(number)?)),
            By::Field(_) if self.question.by.field(kind).is_some_and(|field| field.size() == 8) => {
                GroupKey::Number(self.numbered(number)?[0])
            }
            _ => GroupKey::Number(number.into()),
        };
        Some(Key { kind, group })
    }

    /// The group of a number that a program gave it.
    fn numbered(&mut self, number: u32) -> Option<[u64; 2]> {
        if !self.numbered.contains_key(&number) {
            for (group, number) in self.groups.iter().flatten() {
                self.numbered.insert(number, group);
            }
        }
        self.numbered.get(&number).copied()
    }
}

/// The kind of event that a slot's key is of.
fn kind(key: u64) -> Option<Kind> {
    Kind::from_number((key >> 32) as u16)
}

fn name([first, second]: [u64; 2]) -> [u8; 16] {
    let mut name = [0; 16];
    name[..8].copy_from_slice(&first.to_ne_bytes());
    name[8..].copy_from_slice(&second.to_ne_bytes());
    name
}

fn shape(what: &dyn std::fmt::Display) -> Error {
    Error::failure(format!("a map of the eBPF object: {what}"), "build rmapscope and its object together")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_bounded() {
        assert_eq!((slot_mask(false, 1), slot_mask(true, 1)), (4095, 511));
        for cpus in [1, 2, 8, 64, 512, 8192] {
            for histograms in [false, true] {
                let slots = slot_mask(histograms, cpus) as usize + 1;
                let bytes = SLOT_BYTES + if histograms { HISTOGRAM_BYTES } else { 0 };
                assert!(slots.is_power_of_two() && slots >= FEWEST_SLOTS);
                assert!(slots == FEWEST_SLOTS || (slots + FIXED) * bytes * cpus <= MOST_BYTES);
            }
        }
    }
}
