//! What the kernel prints in `/proc/PID/fdinfo/FD` of a DRM client.
//!
//! Drivers do not all keep to the specification: amdgpu up to 6.6 prints `drm-driver` and `drm-client-id` a second time
//! with another id (6.6 drivers/gpu/drm/amd/amdgpu/amdgpu_fdinfo.c), v3d has a space before its tabs. The first value of
//! a key counts, as that of the DRM core comes first.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use serde::Serialize;

use super::key::{EngineKey, Key, MemoryKey};
use super::quantity::{self, BYTES, COUNT, HERTZ, NANOSECONDS};

/// Most bytes that are read. Drivers print some hundred up to a few thousand.
pub const MOST_BYTES: usize = 64 << 10;
/// Most engines, memory regions, and unknown keys that are kept of each.
pub const MOST_NAMES: usize = 64;
/// Most bytes of a name, and of the value of an unknown key.
pub const MOST_LETTERS: usize = 256;

/// Counters of an engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Engine {
    /// Nanoseconds in which it worked for this client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy_ns: Option<u64>,
    /// Cycles in which it worked for this client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cycles: Option<u64>,
    /// Cycles that passed, in the same unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_cycles: Option<u64>,
    /// Its highest frequency, in Hz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_hz: Option<u64>,
    /// Its frequency, in Hz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_hz: Option<u64>,
    /// How many identical engines the name stands for; one where the driver does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<NonZeroU64>,
}

impl Engine {
    /// Whether it says anything of how busy it is.
    pub const fn has_utilisation(&self) -> bool {
        self.busy_ns.is_some() || self.cycles.is_some()
    }
}

/// Sizes of a memory region, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Asked for, backed or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// With more than one handle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared: Option<u64>,
    /// Backed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resident: Option<u64>,
    /// Backed, and can be given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purgeable: Option<u64>,
    /// In use by an engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<u64>,
    /// By the older key `drm-memory-*`.
    #[serde(skip)]
    old_resident: Option<u64>,
}

/// All that one descriptor says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fdinfo {
    /// The driver. Escape it, and every other text.
    pub driver: Option<String>,
    /// The PCI device.
    pub pci_device: Option<String>,
    /// The client's id.
    pub client_id: Option<u64>,
    /// What the client calls itself.
    pub client_name: Option<String>,
    /// Engines by name.
    pub engines: BTreeMap<String, Engine>,
    /// Memory regions by name.
    pub memory: BTreeMap<String, Memory>,
    /// Keys that are in no specification, and known ones whose value is none.
    pub other: BTreeMap<String, String>,
    /// Lines with a key that was there before.
    pub repeated: u64,
    /// Lines with a known key whose value is none.
    pub malformed: u64,
    /// Lines that are not kept: there are too many, they are too long, or they have no key.
    pub omitted: u64,
}

impl Fdinfo {
    /// What the bytes say. Of more than [`MOST_BYTES`] the whole lines up to there count.
    pub fn parse(bytes: &[u8]) -> Self {
        let mut fdinfo = Self::default();
        let mut kept = bytes;
        if bytes.len() > MOST_BYTES {
            let lines = &bytes[..MOST_BYTES];
            kept = &lines[..lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)];
            fdinfo.omitted = 1;
        }
        for line in String::from_utf8_lossy(kept).lines().filter(|line| !line.trim().is_empty()) {
            fdinfo.line(line);
        }
        for memory in fdinfo.memory.values_mut() {
            memory.resident = memory.resident.or(memory.old_resident);
        }
        fdinfo
    }

    /// Whether any engine says how busy it is.
    pub fn has_utilisation(&self) -> bool {
        self.engines.values().any(Engine::has_utilisation)
    }

    fn line(&mut self, line: &str) {
        let Some((key, value)) = line.split_once(':') else {
            self.omitted += 1;
            return;
        };
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() || key.len() > MOST_LETTERS || value.len() > MOST_LETTERS {
            self.omitted += 1;
            return;
        }
        match Key::parse(key) {
            Some(Key::OfEveryFile) => {}
            Some(Key::Driver) => self.text(key, value, |fdinfo| &mut fdinfo.driver),
            Some(Key::PciDevice) => self.text(key, value, |fdinfo| &mut fdinfo.pci_device),
            Some(Key::ClientName) => self.text(key, value, |fdinfo| &mut fdinfo.client_name),
            Some(Key::ClientId) => match quantity::parse(value, COUNT) {
                Some(id) => set(&mut self.client_id, id, &mut self.repeated),
                None => self.malformed(key, value),
            },
            Some(Key::Engine(kind, name)) => self.engine(kind, name, key, value),
            Some(Key::Memory(kind, name)) => self.memory(kind, name, key, value),
            None => self.keep(key, value),
        }
    }

    fn text(&mut self, key: &str, value: &str, place: fn(&mut Self) -> &mut Option<String>) {
        if value.is_empty() {
            self.malformed(key, value);
        } else if place(self).is_some() {
            self.repeated += 1;
        } else {
            *place(self) = Some(value.to_owned());
        }
    }

    fn engine(&mut self, kind: EngineKey, name: &str, key: &str, value: &str) {
        let units = match kind {
            EngineKey::BusyTime => NANOSECONDS,
            EngineKey::MaxFrequency | EngineKey::CurrentFrequency => HERTZ,
            EngineKey::Capacity | EngineKey::Cycles | EngineKey::TotalCycles => COUNT,
        };
        // "The value zero is not allowed" of a capacity, and a frequency of 0 measures nothing.
        let is_divisor = matches!(kind, EngineKey::Capacity | EngineKey::MaxFrequency);
        let Some(number) = quantity::parse(value, units).filter(|number| !is_divisor || *number > 0) else {
            return self.malformed(key, value);
        };
        let Some(engine) = entry(&mut self.engines, name) else {
            self.omitted += 1;
            return;
        };
        let place = match kind {
            EngineKey::BusyTime => &mut engine.busy_ns,
            EngineKey::Cycles => &mut engine.cycles,
            EngineKey::TotalCycles => &mut engine.total_cycles,
            EngineKey::MaxFrequency => &mut engine.max_hz,
            EngineKey::CurrentFrequency => &mut engine.current_hz,
            EngineKey::Capacity => {
                if let Some(capacity) = NonZeroU64::new(number) {
                    set(&mut engine.capacity, capacity, &mut self.repeated);
                }
                return;
            }
        };
        set(place, number, &mut self.repeated);
    }

    fn memory(&mut self, kind: MemoryKey, name: &str, key: &str, value: &str) {
        let Some(bytes) = quantity::parse(value, BYTES) else { return self.malformed(key, value) };
        let Some(memory) = entry(&mut self.memory, name) else {
            self.omitted += 1;
            return;
        };
        let place = match kind {
            MemoryKey::Total => &mut memory.total,
            MemoryKey::Shared => &mut memory.shared,
            MemoryKey::Resident => &mut memory.resident,
            MemoryKey::Purgeable => &mut memory.purgeable,
            MemoryKey::Active => &mut memory.active,
            MemoryKey::OldResident => &mut memory.old_resident,
        };
        set(place, bytes, &mut self.repeated);
    }

    /// A known key with a value that is none is shown as it stands.
    fn malformed(&mut self, key: &str, value: &str) {
        self.malformed += 1;
        self.keep(key, value);
    }

    fn keep(&mut self, key: &str, value: &str) {
        if self.other.contains_key(key) {
            self.repeated += 1;
        } else if let Some(place) = entry(&mut self.other, key) {
            value.clone_into(place);
        } else {
            self.omitted += 1;
        }
    }
}

/// The first value counts.
fn set<T>(place: &mut Option<T>, value: T, repeated: &mut u64) {
    if place.is_some() {
        *repeated += 1;
    } else {
        *place = Some(value);
    }
}

/// The place of a name; `None` for a new one when there are too many.
fn entry<'a, T: Default>(map: &'a mut BTreeMap<String, T>, name: &str) -> Option<&'a mut T> {
    if map.len() >= MOST_NAMES && !map.contains_key(name) {
        return None;
    }
    Some(map.entry(name.to_owned()).or_default())
}

#[cfg(test)]
mod tests;
