//! The eBPF object inside this program: its globals filled in, its maps sized, its programs not loaded yet.

use aya::{Ebpf, EbpfError, EbpfLoader};
use tracer_common::copies::{self, COPIES, NOTES};
use tracer_common::family::Family;
use tracer_common::globals::Globals;

use crate::kernel::SystemFiles;

/// The object as the build script made it.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tracer-ebpf.o"));

/// Most different kernel stacks of a session.
pub const STACKS: u32 = 16 << 10;

/// `Globals` as the value of a global.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Block(Globals);

// SAFETY: integers without padding (asserted below); every bit pattern is a value.
unsafe impl aya::Pod for Block {}

const _: () = {
    let Globals { options, entry, walk, layout, arguments, arity } = Globals::EMPTY;
    let fields = size_of_val(&options)
        + size_of_val(&layout)
        + size_of_val(&entry)
        + size_of_val(&walk)
        + size_of_val(&arguments)
        + size_of_val(&arity);
    assert!(size_of::<Globals>() == fields, "the block of globals has padding");
};

/// Values of the map of notes, so that every thread id has its own ([`tracer_common::copies`]).
fn notes() -> u32 {
    // The kernel's highest where the limit is not readable (include/linux/threads.h, PID_MAX_LIMIT).
    let limit = SystemFiles::live().number("/proc/sys/kernel/pid_max").unwrap_or(4 << 20);
    u32::try_from(limit).unwrap_or(4 << 20).div_ceil(NOTES as u32)
}

/// Makes the object's maps. Every program of it can be loaded until the result is dropped, and not after one
/// of its maps was.
///
/// # Errors
/// When the kernel refuses a map: privilege, memory.
pub fn load(globals: &Globals, ring_bytes: u32, log_level: u8) -> Result<Ebpf, EbpfError> {
    let block = Block(*globals);
    let stacks = if globals.options.stacks != 0 { STACKS } else { 1 };
    let copies = globals.options.copies;
    let instances = |family| if copies::have(copies, family) { COPIES as u32 } else { 1 };
    EbpfLoader::new()
        .override_global("GLOBALS", &block, true)
        .override_global("AYA_LOG_LEVEL", &log_level, false)
        .map_max_entries("EVENTS", ring_bytes)
        .map_max_entries("STACKS", stacks)
        .map_max_entries("TASK_NOTES", if copies == 0 { 1 } else { notes() })
        .map_max_entries("SCAN", instances(Family::Fork))
        .map_max_entries("CHECK", instances(Family::Migrate))
        .load(OBJECT)
}
