//! Constants that only the kernel's memory holds, read by one of our own programs before anything is attached.

use aya::Ebpf;
use aya::maps::Array;
use aya::programs::{Program, RawTracePointRunOptions, TestRun};

/// Places of the program's map (tracer-ebpf/src/calibrate.rs): the base, and how far sections were looked through.
const BASE: u32 = 0;
const NEXT: [u32; 2] = [3, 4];

/// Most runs: 256 tables or records each, of which a kernel has 8192 and 4096 at most.
const MOST_RUNS: usize = 64;

/// Runs the program `calibrate` until it has what it looks for, or finds no more. The result is the address of the
/// `struct page` of pfn 0; `None` where that cannot be read (lockdown, hidden symbols, an architecture without the
/// variable).
pub fn run(ebpf: &mut Ebpf) -> Option<u64> {
    let Some(Program::RawTracePoint(program)) = ebpf.program_mut("calibrate") else { return None };
    program.load().ok()?;
    let mut before = None;
    for _ in 0..MOST_RUNS {
        let Some(Program::RawTracePoint(program)) = ebpf.program_mut("calibrate") else { return None };
        program.test_run(RawTracePointRunOptions::new()).ok()?;
        let values: Array<_, u64> = Array::try_from(ebpf.map("CALIBRATION")?).ok()?;
        let base = values.get(&BASE, 0).ok()?;
        let next = NEXT.map(|place| values.get(&place, 0).ok());
        if base != 0 {
            return Some(base);
        }
        if before == Some(next) {
            return None;
        }
        before = Some(next);
    }
    None
}
