//! The eBPF object inside this program: its globals filled in, its maps sized, its programs not loaded yet.

use std::collections::HashSet;
use std::io;

use aya::{Ebpf, EbpfError, EbpfLoader};
use object::{Object, ObjectSection, ObjectSymbol};
use tracer_common::buffer::{CpuBuffer, value_size};
use tracer_common::copies::{self, COPIES, NOTES};
use tracer_common::family::Family;
use tracer_common::globals::Globals;

use super::counting;
use super::fold::fold;
use crate::Error;
use crate::kernel::SystemFiles;

/// The object as the build script made it.
pub(super) static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tracer-ebpf.o"));

/// Most different kernel stacks of a session.
pub const STACKS: u32 = 16 << 10;

/// `Globals` as the value of a global.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Block(Globals);

// SAFETY: integers without padding (asserted below); every bit pattern is a value.
unsafe impl aya::Pod for Block {}

impl Block {
    fn bytes(&self) -> &[u8] {
        // SAFETY: all of the block, which has no padding (asserted below).
        unsafe { std::slice::from_raw_parts((&raw const *self).cast(), size_of::<Self>()) }
    }
}

const _: () = {
    let Globals { options, entry, memory_map, walk, measures, layout, arguments, arity } = Globals::EMPTY;
    let fields = size_of_val(&options)
        + size_of_val(&layout)
        + size_of_val(&entry)
        + size_of_val(&memory_map)
        + size_of_val(&walk)
        + size_of_val(&measures)
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

/// CPUs that can have a buffer.
///
/// # Errors
/// When the kernel does not say.
pub fn cpus() -> Result<u32, Error> {
    aya::util::nr_cpus().map(|cpus| cpus as u32).map_err(|(path, error)| {
        let cause = match error.kind() {
            io::ErrorKind::NotFound => {
                "/sys is not mounted here: the number of CPUs cannot be read".to_owned()
            }
            _ => format!("the number of CPUs cannot be read: {path}: {error}"),
        };
        Error::prerequisite(cause, "mount -t sysfs sysfs /sys")
    })
}

/// The object with buffers of that many bytes of records. The size of a map's values is part of the object, and its
/// loader changes only their number.
fn with_buffers(bytes: u32) -> Vec<u8> {
    /// `value_size` in aya's `bpf_map_def`, after the type and the size of keys.
    const VALUE_SIZE: u64 = 8;
    let mut object = OBJECT.to_vec();
    let place = || {
        let file = object::File::parse(OBJECT).ok()?;
        let map = file.symbol_by_name("BUFFERS")?;
        let section = file.section_by_index(map.section_index()?).ok()?;
        let (start, _) = section.file_range()?;
        usize::try_from(start + map.address() - section.address() + VALUE_SIZE).ok()
    };
    let word = place().and_then(|at| object.get_mut(at..)?.first_chunk_mut::<4>());
    let word = word.filter(|word| u32::from_ne_bytes(**word) == size_of::<CpuBuffer>() as u32);
    *word.expect("a test looks for the definition of the map") = value_size(bytes).to_ne_bytes();
    object
}

/// Makes the object's maps, and [folds](fold) the constants into the wanted programs. Every program of it can be loaded until the result is dropped, and not after one
/// of its maps was.
///
/// # Errors
/// When the kernel refuses a map: privilege, memory.
pub fn load(
    globals: &Globals,
    cpus: u32,
    log_level: u8,
    wanted: &HashSet<String>,
) -> Result<Ebpf, EbpfError> {
    let tables = counting::Sizes::of(&globals.options, cpus as usize);
    let block = Block(*globals);
    let stacks = if globals.options.stacks != 0 { STACKS } else { 1 };
    let copies = globals.options.copies;
    let instances = |family| if copies::have(copies, family) { COPIES as u32 } else { 1 };
    let mut object = with_buffers(globals.options.buffer_mask + 1);
    let constants: [(&str, &[u8]); 2] = [("GLOBALS", block.bytes()), ("AYA_LOG_LEVEL", &[log_level])];
    fold(&mut object, &constants, |program| wanted.contains(program));
    EbpfLoader::new()
        .override_global("GLOBALS", &block, true)
        .override_global("AYA_LOG_LEVEL", &log_level, false)
        .map_max_entries("BUFFERS", cpus)
        .map_max_entries("STACKS", stacks)
        .map_max_entries("TASK_NOTES", if copies == 0 { 1 } else { notes() })
        .map_max_entries("SLOTS", tables.slots)
        .map_max_entries("BUCKETS", tables.buckets)
        .map_max_entries("GROUPS", tables.groups)
        .map_max_entries("SCAN", instances(Family::Fork))
        .map_max_entries("CHECK", instances(Family::Migrate))
        .load(&object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_have_the_size_that_is_asked_for() {
        let object = with_buffers(1 << 20);
        let changed: Vec<usize> = (0..OBJECT.len()).filter(|at| OBJECT[*at] != object[*at]).collect();
        let [first, .., last] = changed[..] else { panic!("{changed:?}") };
        assert!(last - first < 4, "one word");
    }
}
