//! What can happen, and what must not: legal and illegal steps, with the rule that each illegal one breaks.

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Make,
    Restore,
    /// A restore of an entry that was made before the session.
    RestoreOlder,
    Fork,
    FailedFork,
    Zap,
    Move,
    Exit,
    Migrate,
    Reclaim,
    ReclaimLocked,
    Munlock,
    Map,
    Unmap,
    FailedMap,
    /// An unmap of a buffer that was mapped before the session.
    UnmapOlder,
    /// A slot that another CPU takes at once.
    KeptAndTaken,
}

/// What must not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Illegal {
    MigrateUnlocked,
    ReclaimUnlocked,
    MigrateWithFlags,
    ForkCopies,
    ForkLeaves,
    ForkTakes,
    MakeFile,
    MakeUnlocked,
    RestoreTwice,
    MakeTwice,
    NeverEnded,
    LoseSoftDirty,
    GainWrite,
    ForgetMlock,
    SwapLocked,
    MunlockLocked,
    UnmapTwice,
    UnmapOtherSize,
    KeepSlot,
    MapOverlap,
    MapOutside,
    MapDirectly,
}

/// An illegal step and the rule that it breaks.
pub struct Fault {
    pub step: Illegal,
    pub rule: &'static str,
}

const fn fault(step: Illegal, rule: &'static str) -> Fault {
    Fault { step, rule }
}

pub const FAULTS: [Fault; 22] = [
    fault(Illegal::MigrateUnlocked, "migration-entry-locked"),
    fault(Illegal::ReclaimUnlocked, "rmap-caller-locked"),
    fault(Illegal::MigrateWithFlags, "rmap-caller-locked"),
    fault(Illegal::ForkCopies, "fork-restores-exclusive"),
    fault(Illegal::ForkLeaves, "fork-restores-exclusive"),
    fault(Illegal::ForkTakes, "fork-parent-keeps-page"),
    fault(Illegal::MakeFile, "exclusive-anon-only"),
    fault(Illegal::MakeUnlocked, "exclusive-returned-locked"),
    fault(Illegal::RestoreTwice, "exclusive-ends-once"),
    fault(Illegal::MakeTwice, "exclusive-ends-once"),
    fault(Illegal::NeverEnded, "exclusive-ends-once"),
    fault(Illegal::LoseSoftDirty, "restore-keeps-bits"),
    fault(Illegal::GainWrite, "restore-keeps-bits"),
    fault(Illegal::ForgetMlock, "restore-remlocks"),
    fault(Illegal::SwapLocked, "mlocked-stays-mapped"),
    fault(Illegal::MunlockLocked, "munlock-walk-complete"),
    fault(Illegal::UnmapTwice, "swiotlb-paired"),
    fault(Illegal::UnmapOtherSize, "swiotlb-paired"),
    fault(Illegal::KeepSlot, "swiotlb-paired"),
    fault(Illegal::MapOverlap, "swiotlb-in-pool"),
    fault(Illegal::MapOutside, "swiotlb-in-pool"),
    fault(Illegal::MapDirectly, "swiotlb-restricted-bounces"),
];
