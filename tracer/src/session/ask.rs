//! Programs that are never attached, but run once for a question or an order of user space.

use aya::Ebpf;
use aya::programs::{Program, RawTracePointRunOptions, TestRun};

/// Runs the program of that name on this thread; its result.
///
/// # Errors
/// Why the kernel does not load or run it.
pub fn ask(ebpf: &mut Ebpf, name: &str, arguments: &[u64]) -> Result<u32, String> {
    load(ebpf, name)?;
    ask_again(ebpf, name, arguments)
}

/// Loads the program of that name, so that it can be asked later, with less privilege.
///
/// # Errors
/// Why the kernel does not load it.
pub fn load(ebpf: &mut Ebpf, name: &str) -> Result<(), String> {
    match ebpf.program_mut(name) {
        Some(Program::RawTracePoint(program)) if program.fd().is_ok() => Ok(()),
        Some(Program::RawTracePoint(program)) => program.load().map_err(|error| error.to_string()),
        _ => Err(format!("the eBPF object has no program {name}")),
    }
}

/// As [`ask`], of a program that is [loaded](load).
///
/// # Errors
/// Why the kernel does not run it.
pub fn ask_again(ebpf: &Ebpf, name: &str, arguments: &[u64]) -> Result<u32, String> {
    let Some(Program::RawTracePoint(program)) = ebpf.program(name) else {
        return Err(format!("the eBPF object has no program {name}"));
    };
    let mut options = RawTracePointRunOptions::new();
    options.args[..arguments.len()].copy_from_slice(arguments);
    Ok(program.test_run(options).map_err(|error| error.to_string())?.return_value)
}
