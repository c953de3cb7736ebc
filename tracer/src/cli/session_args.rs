//! Options of a live session, the same for every command that opens one.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use rmapscope::Error;
use rmapscope::kernel::FactsOptions;
use rmapscope::probe::{Preference, Request, select};
use rmapscope::session::{self, Command, Filters, Live, Options};
use rmapscope::trace_file::{FileHeader, SessionOptions};
use tracer_common::buffer::{SMALLEST, value_size};

use super::choice::Choice;
use super::values;

/// Ways to attach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Attach {
    /// The cheapest that works.
    #[default]
    Auto,
    /// Only fentry, fexit and BTF tracepoints.
    Fentry,
    /// Only kprobes, kretprobes and raw tracepoints.
    Kprobe,
}

impl From<Attach> for Preference {
    fn from(attach: Attach) -> Self {
        match attach {
            Attach::Auto => Self::Auto,
            Attach::Fentry => Self::Fentry,
            Attach::Kprobe => Self::Kprobe,
        }
    }
}

/// What to attach for the events.
#[derive(Args, Clone, Debug)]
pub struct RequestArgs {
    /// Record an event for each VMA that a reverse-map walk visits.
    #[arg(long)]
    pub per_vma: bool,
    /// Measure the time spent in each function.
    #[arg(short, long)]
    pub latency: bool,
    /// How to attach.
    #[arg(long, value_enum, default_value_t, value_name = "WAY")]
    pub attach: Attach,
}

/// Where to find out about the kernel.
#[derive(Args, Clone, Debug)]
pub struct KernelArgs {
    /// BTF of the running kernel, if /sys/kernel/btf/vmlinux does not exist.
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,
    /// Symbols of the running kernel, in the format of /proc/kallsyms, if the kernel hides them.
    #[arg(long, value_name = "FILE")]
    pub kallsyms: Option<PathBuf>,
}

/// How to trace. The options say that they are in its group, as those of `FilterArgs` do.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Live session")]
pub struct SessionArgs {
    #[command(flatten)]
    pub request: RequestArgs,
    /// Record the kernel stack of each event.
    #[arg(short = 'g', long, group = "SessionArgs")]
    pub stacks: bool,
    /// Trace only tasks in this cgroup v2 directory or below.
    #[arg(short = 'G', long, value_name = "DIRECTORY", group = "SessionArgs")]
    pub cgroup: Option<PathBuf>,
    /// With a command: trace the whole system while it runs, not just the command and its children.
    #[arg(short = 'a', long, group = "SessionArgs")]
    pub all: bool,
    /// Do not follow children of the traced processes.
    #[arg(long, group = "SessionArgs")]
    pub no_inherit: bool,
    /// Stop after this time, for example 10, 500ms or 2m.
    #[arg(short, long, value_name = "TIME", value_parser = values::duration, group = "SessionArgs")]
    pub duration: Option<Duration>,
    /// Total memory for the per-CPU ring buffers; the size of each is rounded up to a power of two. Default: 2M per
    /// CPU, less if that exceeds 64M.
    #[arg(short = 'm', long, value_name = "SIZE", value_parser = values::size, group = "SessionArgs")]
    pub buffer: Option<u64>,
    /// Have the kernel measure the overhead of the probes, and report it at the end.
    #[arg(long, group = "SessionArgs")]
    pub overhead: bool,
    #[command(flatten)]
    pub kernel: KernelArgs,
    /// Pretend that this function, tracepoint or field is missing, to test the effect.
    #[arg(long, hide = true, value_name = "NAME", group = "SessionArgs")]
    pub without_symbol: Vec<String>,
    /// Command to trace, after `--`. It starts once every probe is attached.
    #[arg(last = true, value_name = "COMMAND", group = "SessionArgs")]
    pub command: Vec<OsString>,
}

impl SessionArgs {
    /// Where the kernel's facts come from.
    pub fn facts(&self) -> FactsOptions {
        FactsOptions {
            btf: self.kernel.btf.clone(),
            kallsyms: self.kernel.kallsyms.clone(),
            hidden: self.without_symbol.clone(),
            function_lists: false,
        }
    }

    /// What the session is asked for; `command` is watched with its children.
    ///
    /// # Errors
    /// Rings that cannot be.
    pub fn options(&self, choice: &Choice, command: Option<&Command>, verbose: u8) -> Result<Options, Error> {
        let min_latency = choice.min_latency.map_or(0, values::nanoseconds);
        Ok(Options {
            request: Request {
                off: Vec::new(),
                kinds: select(&choice.events, self.request.per_vma),
                latency: self.request.latency || min_latency > 0,
                visits_for_rules: false,
                entries_only: false,
                attach: self.request.attach.into(),
                probe_read: true,
            },
            filters: Filters {
                pids: choice.pids.iter().copied().chain(command.map(Command::pid)).collect(),
                tids: choice.tids.clone(),
                names: choice.names.clone(),
                cgroup: self.cgroup.clone(),
                follow_children: !self.no_inherit,
                living_children: false,
                min_latency,
            },
            stacks: self.stacks,
            buffer_bytes: buffer_bytes(self.buffer)?,
            duration: self.duration,
            log_level: if verbose >= 2 { DEBUG } else { 0 },
            counting: None,
            overhead: self.overhead,
        })
    }

    /// What a trace file says about this session.
    pub fn header(&self, choice: &Choice, live: &Live) -> FileHeader {
        let mut header = FileHeader::new(live.kernel().clone());
        header.probes = live.reports();
        header.traced_command = (!self.command.is_empty())
            .then(|| self.command.iter().map(|word| word.to_string_lossy().into_owned()).collect());
        let RequestArgs { per_vma, latency, attach } = self.request;
        header.options = SessionOptions {
            all: self.all,
            attach: Some(attach.into()),
            buffer: live.buffer_bytes(),
            cgroup: self.cgroup.as_ref().map(|path| path.to_string_lossy().into_owned()),
            comm: choice.names.clone(),
            event: choice.events.iter().map(|event| event.name().to_owned()).collect(),
            latency: latency || choice.min_latency.is_some(),
            min_latency: choice.min_latency.map(values::nanoseconds),
            no_inherit: self.no_inherit,
            per_vma,
            pid: choice.pids.clone(),
            stacks: self.stacks,
            tid: choice.tids.clone(),
        };
        header
    }
}

/// `aya_log_ebpf`'s number of the level `debug`.
const DEBUG: u8 = 4;

/// Bytes of each CPU's buffer, if this machine can have them.
fn buffer_bytes(asked: Option<u64>) -> Result<u32, Error> {
    let cpus = session::cpus()?;
    let bytes = each_cpus(asked, cpus)?;
    let total = u64::from(cpus) * u64::from(value_size(bytes));
    // The kernel takes the pages at once, and would reclaim everybody else's for them.
    if let Some(available) = available_memory()
        && total > available / 2
    {
        return Err(Error::failure(
            format!(
                "rings of {} MiB for {cpus} CPUs exceed half of the {} MiB of free memory",
                total >> 20,
                available >> 20
            ),
            "reduce --buffer",
        ));
    }
    Ok(bytes)
}

/// What each of so many CPUs gets.
fn each_cpus(asked: Option<u64>, cpus: u32) -> Result<u32, Error> {
    /// What the verifier takes for the size of an object (include/linux/bpf_verifier.h, BPF_MAX_VAR_SIZ).
    const LARGEST: u64 = 1 << 28;
    const DEFAULT: u64 = 2 << 20;
    const DEFAULT_TOTAL: u64 = 64 << 20;
    const DEFAULT_SMALLEST: u64 = 64 << 10;
    let cpus = u64::from(cpus.max(1));
    let bytes = match asked {
        None => (DEFAULT_TOTAL / cpus.next_power_of_two()).clamp(DEFAULT_SMALLEST, DEFAULT),
        Some(asked) => {
            asked.div_ceil(cpus).max(u64::from(SMALLEST)).checked_next_power_of_two().unwrap_or(u64::MAX)
        }
    };
    match u32::try_from(bytes) {
        Ok(each) if bytes <= LARGEST => Ok(each),
        _ => Err(Error::failure(
            format!("a ring of {} MiB per CPU exceeds the kernel's limit", bytes >> 20),
            "reduce --buffer",
        )),
    }
}

/// Bytes that can be had without swapping (`MemAvailable`).
fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_powers_of_two() {
        let each = |asked, cpus| each_cpus(asked, cpus).map_err(|error| error.cause);
        assert_eq!(each(Some(1), 1), Ok(4096));
        assert_eq!(each(Some(5000), 1), Ok(8192));
        assert_eq!(each(Some(8 << 20), 3), Ok(4 << 20));
        assert_eq!(each(None, 2), Ok(2 << 20));
        assert_eq!(each(None, 48), Ok(1 << 20));
        assert_eq!(each(None, 8192), Ok(64 << 10));
        assert!(each(Some(u64::MAX), 1).is_err());
        assert!(each(Some(1 << 40), 64).is_err());
    }
}
