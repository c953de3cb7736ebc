//! `rmapscope clients`: clients of GPUs and accelerators. Attaches nothing.

#[cfg(feature = "metrics")]
mod serve;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use rmapscope::clients::{Look, Looks, Sight, json, text};
use rmapscope::kernel::SystemFiles;
use rmapscope::{Error, open_files};

use super::standard_output::print;
use super::{GlobalArgs, Status, values};

/// Shortest time between two looks: a walk over all open files takes its time.
const SHORTEST: Duration = Duration::from_millis(10);

/// List the clients of GPUs and accelerators: processes, engine utilisation and memory.
///
/// A client is one open of a device node: descriptors that were duplicated, inherited or passed on are counted once,
/// under the oldest process that holds one. The open files of all processes are read twice, one second apart, because
/// drivers count busy time and cycles; nothing is attached and no device is opened. If the utilisation of a client is
/// unknown, STATE gives the reason:
///
///   busy, idle           measured between the two looks
///   first-look           appeared since the previous look, or --once
///   unmeasured           its driver has only begun to report an engine
///   no-utilisation-keys  the driver prints nothing about engines (nouveau, virtio-gpu, vgem, …)
///   profiling-off        the driver's switch `profiling` is off (panfrost, panthor)
///   no-permission        reading its fdinfo is not permitted
///   unreadable           its fdinfo cannot be read
///   kfd                  compute of amdgpu, which is not in fdinfo
///   no-nvml              NVIDIA's driver, which only NVIDIA's library can query
///   gone                 was there at the previous look
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, after_help = AFTER_HELP)]
pub struct ClientsArgs {
    /// Time between the two looks, over which utilisation is measured.
    #[arg(short = 'I', long, value_name = "TIME", default_value = "1s", value_parser = interval,
          conflicts_with_all = ["once", "watch"])]
    interval: Duration,
    /// Look once, without measuring utilisation.
    #[arg(long, conflicts_with = "watch")]
    once: bool,
    /// Repeat after this time, for example 500ms, and print all clients each time; until Ctrl-C.
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "1s",
          value_parser = interval)]
    watch: Option<Duration>,
    /// Stop after this many passes.
    #[arg(long, value_name = "N", requires = "watch", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Print JSON, one object per line.
    #[arg(short, long)]
    json: bool,
    /// Serve totals by device as OpenMetrics at http://ADDRESS/metrics, until Ctrl-C: a port on 127.0.0.1, or IP:PORT.
    /// A request triggers a look if the last one is older than --interval.
    #[cfg(feature = "metrics")]
    #[arg(long, value_name = "ADDRESS", value_parser = serve::address,
          conflicts_with_all = ["once", "watch", "json"])]
    metrics: Option<std::net::SocketAddr>,
    /// Read proc, sys and dev below this folder: the mounted root of a host, or a copy.
    #[arg(long, value_name = "FOLDER", default_value = "/")]
    root: PathBuf,
}

const AFTER_HELP: &str = "\
Examples:
  rmapscope clients                     who uses a GPU, and how much, over one second
  rmapscope clients --watch=500ms       the same again and again
  rmapscope clients --metrics 9834      the sums, for Prometheus
  rmapscope clients --once -j | jq 'select(.type == \"client\") | .holders[].pid'

FDS counts the descriptors of all holders, HELD the processes. CLIENT is the driver's id; `-` if there is
none, `?` if a process's open files cannot be distinguished. RESIDENT is the resident memory of all regions.";

fn interval(text: &str) -> Result<Duration, String> {
    values::interval(text, SHORTEST)
}

/// Prints the clients on standard output. Returns the exit code.
///
/// # Errors
/// A failure (exit code 2) when there is no procfs; a prerequisite (exit code 4) when no process may be looked at.
pub fn run(args: &ClientsArgs, global: &GlobalArgs) -> Result<u8, Error> {
    let clients = Clients { args, system: SystemFiles::below(&args.root), status: global.status() };
    #[cfg(feature = "metrics")]
    if let Some(address) = args.metrics {
        return serve::run(&clients, address);
    }
    watch::run(&clients)
}

/// One run of the command.
struct Clients<'a> {
    args: &'a ClientsArgs,
    system: SystemFiles,
    status: Status,
}

impl Clients<'_> {
    fn look(&self, looks: &mut Looks) -> Result<Look, Error> {
        let look = looks.next(&self.system).map_err(|error| {
            let remedy = open_files::remedy(
                &error,
                "mount proc at /proc, or give a folder that contains it with --root",
            );
            Error::failure(format!("cannot list processes: {error}"), remedy)
        })?;
        let effort = &look.effort;
        if effort.processes == 0 && effort.denied > 0 {
            return Err(Error::prerequisite("no process can be read", "run as root, or with CAP_SYS_PTRACE"));
        }
        Ok(look)
    }

    /// Says once what the look could not see.
    fn introduce(&self, look: &Look) {
        let denied = look.effort.denied;
        if denied > 0 {
            self.status.note(&format!(
                "processes that could not be read, and may be clients as well: {denied} (needs CAP_SYS_PTRACE)"
            ));
        }
    }

    fn print(&self, sight: &Sight, is_first: bool) -> Result<u8, Error> {
        let mut out = String::new();
        match (self.args.json, is_first) {
            (true, true) => json::header(&mut out, &self.system.release()),
            (false, false) => out.push('\n'),
            _ => {}
        }
        if self.args.json {
            json::sight(&mut out, sight)
        } else {
            text::sight(&mut out, sight)
        }
        print(&out)
    }
}
