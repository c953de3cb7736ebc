//! Keys of a DRM client's fdinfo, as `Documentation/gpu/drm-usage-stats.rst` of Linux 7.3 has them, and one that drivers
//! print beside these.

/// What a key is about; names of engines and memory regions are the driver's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// `drm-driver`.
    Driver,
    /// `drm-pdev`.
    PciDevice,
    /// `drm-client-id`.
    ClientId,
    /// `drm-client-name` (6.13 on).
    ClientName,
    /// A number of an engine.
    Engine(EngineKey, &'a str),
    /// A size of a memory region.
    Memory(MemoryKey, &'a str),
    /// What the kernel prints for every open file (6.12 fs/proc/fd.c, `seq_show`).
    OfEveryFile,
}

/// Numbers of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKey {
    /// `drm-engine-*`: busy time.
    BusyTime,
    /// `drm-engine-capacity-*`: how many identical engines.
    Capacity,
    /// `drm-cycles-*`: busy cycles.
    Cycles,
    /// `drm-total-cycles-*`: cycles that passed (6.11 on).
    TotalCycles,
    /// `drm-maxfreq-*`.
    MaxFrequency,
    /// `drm-curfreq-*`, of panfrost and panthor (`Documentation/gpu/panfrost.rst`).
    CurrentFrequency,
}

/// Sizes of a memory region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryKey {
    /// `drm-total-*`.
    Total,
    /// `drm-shared-*`.
    Shared,
    /// `drm-resident-*`.
    Resident,
    /// `drm-purgeable-*`.
    Purgeable,
    /// `drm-active-*`.
    Active,
    /// `drm-memory-*`: the older name of resident, of amdgpu.
    OldResident,
}

/// Prefixes of engines; a longer one stands before its own beginning, and `drm-total-cycles-` before `drm-total-`.
const ENGINES: [(&str, EngineKey); 6] = [
    ("drm-engine-capacity-", EngineKey::Capacity),
    ("drm-engine-", EngineKey::BusyTime),
    ("drm-cycles-", EngineKey::Cycles),
    ("drm-total-cycles-", EngineKey::TotalCycles),
    ("drm-maxfreq-", EngineKey::MaxFrequency),
    ("drm-curfreq-", EngineKey::CurrentFrequency),
];

const MEMORY: [(&str, MemoryKey); 6] = [
    ("drm-total-", MemoryKey::Total),
    ("drm-shared-", MemoryKey::Shared),
    ("drm-resident-", MemoryKey::Resident),
    ("drm-purgeable-", MemoryKey::Purgeable),
    ("drm-active-", MemoryKey::Active),
    ("drm-memory-", MemoryKey::OldResident),
];

impl<'a> Key<'a> {
    /// What a key is about; `None` for one that is in no specification.
    pub fn parse(key: &'a str) -> Option<Self> {
        match key {
            "drm-driver" => return Some(Self::Driver),
            "drm-pdev" => return Some(Self::PciDevice),
            "drm-client-id" => return Some(Self::ClientId),
            "drm-client-name" => return Some(Self::ClientName),
            "pos" | "flags" | "mnt_id" | "ino" => return Some(Self::OfEveryFile),
            _ => {}
        }
        if let Some((kind, name)) = split(&ENGINES, key) {
            return (!name.is_empty()).then_some(Self::Engine(kind, name));
        }
        let (kind, name) = split(&MEMORY, key)?;
        (!name.is_empty()).then_some(Self::Memory(kind, name))
    }
}

/// The first prefix that the key has, and the name behind it.
fn split<'a, T: Copy>(prefixes: &[(&str, T)], key: &'a str) -> Option<(T, &'a str)> {
    prefixes.iter().find_map(|(prefix, kind)| Some((*kind, key.strip_prefix(prefix)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_begin_alike_are_told_apart() {
        let engine = |key| Key::parse(key).filter(|key| matches!(key, Key::Engine(..)));
        assert_eq!(engine("drm-engine-capacity-vcs"), Some(Key::Engine(EngineKey::Capacity, "vcs")));
        assert_eq!(engine("drm-engine-vcs"), Some(Key::Engine(EngineKey::BusyTime, "vcs")));
        assert_eq!(engine("drm-total-cycles-rcs"), Some(Key::Engine(EngineKey::TotalCycles, "rcs")));
        assert_eq!(Key::parse("drm-total-vram0"), Some(Key::Memory(MemoryKey::Total, "vram0")));
        assert_eq!(Key::parse("drm-memory-vram"), Some(Key::Memory(MemoryKey::OldResident, "vram")));
        for unknown in ["drm-engine-", "drm-total-cycles-", "amd-evicted-vram", "pasid", "drm-", ""] {
            assert_eq!(Key::parse(unknown), None, "{unknown}");
        }
    }
}
