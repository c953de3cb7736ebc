//! What runs in guests: names that boots, checks, selftests and scripts share. A run is also a folder of that name.

/// Recordings with the cheapest way to attach.
pub const AUTO: &str = "auto";

/// Recordings by kprobe.
pub const KPROBE: &str = "kprobe";

/// A kernel in lockdown.
pub const LOCKDOWN: &str = "lockdown";

/// Recordings of eight CPUs.
pub const MANY_CPUS: &str = "many-cpus";

/// Verdicts of a kernel without planted bugs.
pub const HEALTHY: &str = "healthy";

/// A small pool of bounce buffers, and memory that can go offline.
pub const LITTLE_ROOM: &str = "little-room";

/// Planted bugs.
pub const MUTANTS: &str = "mutants";

/// 64-bit Arm with a restricted pool.
pub const RESTRICTED: &str = "restricted";

/// The same with pages of more than 4 KiB.
pub const LARGE_PAGES: &str = "large-pages";

/// A stock kernel of 64-bit Arm.
pub const STOCK_ARM64: &str = "stock-arm64";
