//! Programs that are never attached, but run once for a question or an order of user space.

use aya::Ebpf;
use aya::programs::{Program, RawTracePointRunOptions, TestRun};

/// Runs the program of that name on this thread; its result.
///
/// # Errors
/// Why the kernel does not load or run it.
pub fn ask(ebpf: &mut Ebpf, name: &str, arguments: &[u64]) -> Result<u32, String> {
    let Some(Program::RawTracePoint(program)) = ebpf.program_mut(name) else {
        return Err(format!("the eBPF object has no program {name}"));
    };
    if program.fd().is_err() {
        program.load().map_err(|error| error.to_string())?;
    }
    let mut options = RawTracePointRunOptions::new();
    options.args[..arguments.len()].copy_from_slice(arguments);
    Ok(program.test_run(options).map_err(|error| error.to_string())?.return_value)
}
