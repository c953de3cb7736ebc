//! Families: the groups of events that are chosen, counted and lost together.

/// A group of events. Its number is the high byte of an [event kind](crate::event::Kind).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Family {
    /// Life of processes: fork, exec, exit, names.
    Process = 0,
    /// Device-exclusive entries: made, restored, revoked.
    Exclusive = 1,
    /// Reverse-map walks that unmap: `try_to_unmap`, `try_to_migrate`.
    Rmap = 2,
    /// Migration entries and the migrations that set them.
    Migrate = 3,
    /// mlock and munlock of folios and VMAs.
    Mlock = 4,
    /// Page-table copies at fork.
    Fork = 5,
    /// Bounce buffers.
    Swiotlb = 6,
    /// Device memory: what HMM moves, mirrors and watches for drivers.
    Hmm = 7,
}

impl Family {
    /// Number of families; sizes the per-family counters.
    pub const COUNT: usize = 8;

    /// Every family, in the order of its number.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Process,
        Self::Exclusive,
        Self::Rmap,
        Self::Migrate,
        Self::Mlock,
        Self::Fork,
        Self::Swiotlb,
        Self::Hmm,
    ];

    /// The name used on the command line and in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Exclusive => "exclusive",
            Self::Rmap => "rmap",
            Self::Migrate => "migrate",
            Self::Mlock => "mlock",
            Self::Fork => "fork",
            Self::Swiotlb => "swiotlb",
            Self::Hmm => "hmm",
        }
    }

    /// The family of that [name](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.name() == name)
    }
}
