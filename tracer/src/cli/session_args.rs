//! Options of a live session, the same for every command that opens one.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use rmapscope::Error;
use rmapscope::kernel::FactsOptions;
use rmapscope::probe::{Preference, Request, select};
use rmapscope::session::{Command, Filters, Live, Options};
use rmapscope::trace_file::{FileHeader, SessionOptions};

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
    /// Add an event for each VMA that a reverse-map walk visits.
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
    /// Types of the running kernel, when it has none of its own in /sys/kernel/btf.
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,
    /// Symbols of the running kernel, in the form of /proc/kallsyms, when it hides them.
    #[arg(long, value_name = "FILE")]
    pub kallsyms: Option<PathBuf>,
}

/// How to trace. The options say that they are in its group, as those of `FilterArgs` do.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Live session")]
pub struct SessionArgs {
    #[command(flatten)]
    pub request: RequestArgs,
    /// Take the kernel stack of each event.
    #[arg(short = 'g', long, group = "SessionArgs")]
    pub stacks: bool,
    /// Trace only tasks in this cgroup v2 directory or below.
    #[arg(short = 'G', long, value_name = "DIRECTORY", group = "SessionArgs")]
    pub cgroup: Option<PathBuf>,
    /// With a command: trace the whole system while it runs, not only the command and its children.
    #[arg(short = 'a', long, group = "SessionArgs")]
    pub all: bool,
    /// Do not follow children of the traced processes.
    #[arg(long, group = "SessionArgs")]
    pub no_inherit: bool,
    /// End after this time, for example 10, 500ms or 2m.
    #[arg(short, long, value_name = "TIME", value_parser = values::duration, group = "SessionArgs")]
    pub duration: Option<Duration>,
    /// Size of the ring between kernel and reader; rounded up to a power of two.
    #[arg(short = 'm', long, value_name = "SIZE", value_parser = values::size, default_value = "8M",
          group = "SessionArgs")]
    pub buffer: u64,
    #[command(flatten)]
    pub kernel: KernelArgs,
    /// Take this function, tracepoint or field to be missing, to try out what that means.
    #[arg(long, hide = true, value_name = "NAME", group = "SessionArgs")]
    pub without_symbol: Vec<String>,
    /// Command to trace, after `--`. It starts when every probe is attached.
    #[arg(last = true, value_name = "COMMAND", group = "SessionArgs")]
    pub command: Vec<OsString>,
}

/// The smallest ring: one page.
const SMALLEST_RING: u64 = 4096;
/// The largest ring that the kernel can number.
const LARGEST_RING: u64 = 1 << 31;

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
    /// A ring that cannot be.
    pub fn options(&self, choice: &Choice, command: Option<&Command>, verbose: u8) -> Result<Options, Error> {
        let min_latency = choice.min_latency.map_or(0, values::nanoseconds);
        Ok(Options {
            request: Request {
                off: Vec::new(),
                kinds: select(&choice.events, self.request.per_vma),
                latency: self.request.latency || min_latency > 0,
                visits_for_rules: false,
                attach: self.request.attach.into(),
                probe_read: true,
            },
            filters: Filters {
                pids: choice.pids.iter().copied().chain(command.map(Command::pid)).collect(),
                tids: choice.tids.clone(),
                names: choice.names.clone(),
                cgroup: self.cgroup.clone(),
                follow_children: !self.no_inherit,
                min_latency,
            },
            stacks: self.stacks,
            ring_bytes: ring_bytes(self.buffer)?,
            duration: self.duration,
            log_level: if verbose >= 2 { DEBUG } else { 0 },
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
            buffer: self.buffer,
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

/// The ring's real size, if this machine can have it.
fn ring_bytes(asked: u64) -> Result<u32, Error> {
    let remedy = "ask for less with --buffer; 8M is the default";
    let bytes = asked.max(SMALLEST_RING).checked_next_power_of_two().filter(|bytes| *bytes <= LARGEST_RING);
    let Some(bytes) = bytes else {
        return Err(Error::failure(
            format!("a ring of {} MiB is more than the kernel can make", asked >> 20),
            remedy,
        ));
    };
    // The kernel takes the pages at once, and would reclaim everybody else's for them.
    if let Some(available) = available_memory()
        && bytes > available / 2
    {
        return Err(Error::failure(
            format!(
                "a ring of {} MiB is more than half of the {} MiB that are free",
                bytes >> 20,
                available >> 20
            ),
            remedy,
        ));
    }
    u32::try_from(bytes).map_err(|_| Error::failure("the ring is too large", remedy))
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
    fn rings_are_powers_of_two_that_fit() {
        assert_eq!(ring_bytes(1).unwrap(), 4096);
        assert_eq!(ring_bytes(5000).unwrap(), 8192);
        assert_eq!(ring_bytes(8 << 20).unwrap(), 8 << 20);
        assert!(ring_bytes(u64::MAX).is_err());
        assert!(ring_bytes(1 << 40).is_err());
    }
}
