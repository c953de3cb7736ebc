//! Constants that only the kernel's memory holds, read by one of our own programs before anything is attached.

use aya::Ebpf;
use aya::maps::Array;
use aya::programs::{Program, RawTracePointRunOptions, TestRun};

/// Runs the program `calibrate` once. The result is the address of the `struct page` of pfn 0; `None` where
/// that cannot be read (lockdown, hidden symbols, an architecture without the variable).
pub fn run(ebpf: &mut Ebpf) -> Option<u64> {
    let Some(Program::RawTracePoint(program)) = ebpf.program_mut("calibrate") else { return None };
    program.load().ok()?;
    program.test_run(RawTracePointRunOptions::new()).ok()?;
    let values: Array<_, u64> = Array::try_from(ebpf.map("CALIBRATION")?).ok()?;
    values.get(&0, 0).ok().filter(|base| *base != 0)
}
