//! `rmapscope audit`: special swap entries as they stand, from /proc/PID/pagemap. Attaches nothing.

mod watch;

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use rmapscope::audit::{
    AuditError, Kind, Method, Snapshot, Totals, TypeSources, TypeTable, TypesError, json, open_page_flags,
    processes, select_kinds, text, views,
};
use rmapscope::kernel::{SwapKind, SystemFiles};
use rmapscope::{Error, ExitCode};

use super::session_args::KernelArgs;
use super::standard_output::print;
use super::{GlobalArgs, Status, values};

/// List current migration, device-private, device-exclusive and poisoned entries and markers.
///
/// Reads /proc/PID/pagemap and attaches nothing, so it works where nothing can be attached. The kernel shows the kind
/// of an entry and its page frame only with CAP_SYS_ADMIN. That file does not contain entries of hugetlb pages.
/// Additional exit codes: 1 with --fail-on if such entries exist, 3 if that cannot be determined for all processes.
#[derive(Debug, clap::Args)]
pub struct AuditArgs {
    /// Processes.
    #[arg(value_name = "PID", required_unless_present_any = ["all", "types"])]
    pid: Vec<u32>,
    /// Every other process that you have access to.
    #[arg(short = 'a', long, conflicts_with = "pid")]
    all: bool,
    /// Print only the swap types of this kernel, and how they were found.
    #[arg(long, conflicts_with_all = ["pid", "all", "watch", "fail_on", "vm_flags"])]
    types: bool,
    /// Repeat after this time, for example 500ms, and print entries that appeared or disappeared; until Ctrl-C.
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "1",
          value_parser = values::duration)]
    watch: Option<Duration>,
    /// Stop after this many passes.
    #[arg(long, value_name = "N", requires = "watch", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Exit with 1 if there are entries of these kinds: a kind as printed, or migration,
    /// device_private, device_exclusive, marker, any.
    #[arg(long, value_name = "KIND,…", value_delimiter = ',')]
    fail_on: Vec<String>,
    /// Print JSON, one object per line.
    #[arg(short, long)]
    json: bool,
    /// Print the flags of each VMA with entries, from smaps; slower.
    #[arg(long)]
    vm_flags: bool,
    /// Read pagemap word by word instead of using PAGEMAP_SCAN (6.7 on).
    #[arg(long)]
    no_scan: bool,
    /// Take the swap types from FILE, in the format that --types prints.
    #[arg(long, value_name = "FILE")]
    types_from: Option<PathBuf>,
    #[command(flatten)]
    kernel: KernelArgs,
    /// Configuration of the running kernel, if it is not in /proc/config.gz or /boot.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Prints the entries on standard output. Returns the exit code.
///
/// # Errors
/// A failure (exit code 2) for a process that is not there or a file that is of no use; a prerequisite (exit
/// code 4) when nothing may be looked at, or the kernel hides what is there.
pub fn run(args: &AuditArgs, global: &GlobalArgs) -> Result<u8, Error> {
    let fail_on = select_kinds(&args.fail_on)?;
    let system = SystemFiles::live();
    let table = TypeTable::find(&system, &args.sources()).map_err(explain_types)?;
    if args.types {
        let mut out = String::new();
        if args.json {
            json::header(&mut out, &table)
        } else {
            out = table.text()
        }
        return print(&out);
    }
    let page_flags = open_page_flags(&system);
    let audit = Audit { args, system, table, page_flags, status: global.status() };
    audit.introduce();
    let totals = match args.watch {
        None => audit.once()?,
        Some(pause) => watch::run(&audit, pause)?,
    };
    audit.judge(&totals, &fail_on.into_iter().collect::<Vec<_>>())
}

/// One run of the command.
struct Audit<'a> {
    args: &'a AuditArgs,
    system: SystemFiles,
    table: TypeTable,
    page_flags: Option<File>,
    status: Status,
}

impl AuditArgs {
    fn sources(&self) -> TypeSources {
        TypeSources {
            btf: self.kernel.btf.clone(),
            kallsyms: self.kernel.kallsyms.clone(),
            config: self.config.clone(),
            table: self.types_from.clone(),
        }
    }
}

impl Audit<'_> {
    /// Says by which table entries are told.
    fn introduce(&self) {
        let (table, status) = (&self.table, self.status);
        let types: Vec<String> =
            table.types.iter().map(|entry| format!("{} {}", entry.number, entry.kind.name())).collect();
        status.note(&format!("swap types of linux {}: {}", table.release, types.join(", ")));
        status.note(&format!("found {}", table.source));
        if let Some(doubt) = &table.doubt {
            status.important(&format!("the swap types are in doubt: {doubt}"));
        }
    }

    /// Looks at every process that is asked for.
    fn look(&self) -> Result<(Vec<Snapshot>, Totals), Error> {
        let pids = if self.args.all { self.others()? } else { self.args.pid.clone() };
        let mut totals = Totals::default();
        let mut snapshots = Vec::new();
        for pid in pids {
            match self.snapshot(pid) {
                Ok(snapshot) => {
                    totals.add(&snapshot);
                    snapshots.push(snapshot);
                }
                Err(error) if !self.args.all => return Err(explain(error)),
                Err(AuditError::NoProcess(_) | AuditError::Vanished(_)) => totals.vanished += 1,
                Err(AuditError::NoAddressSpace(_)) => totals.without_memory += 1,
                Err(error) => {
                    self.status.detail(&error.to_string());
                    totals.denied += 1;
                }
            }
        }
        Ok((snapshots, totals))
    }

    /// Every process but this one, which is always allowed and tells nothing.
    fn others(&self) -> Result<Vec<u32>, Error> {
        let mut pids = processes(&self.system).map_err(explain)?;
        pids.retain(|pid| *pid != std::process::id());
        Ok(pids)
    }

    fn snapshot(&self, pid: u32) -> Result<Snapshot, AuditError> {
        let method = if self.args.no_scan { Method::Read } else { Method::Auto };
        Snapshot::take(&self.system, pid, &self.table, method, self.args.vm_flags)
    }

    /// One look, printed.
    fn once(&self) -> Result<Totals, Error> {
        let (snapshots, totals) = self.look()?;
        let mut out = String::new();
        if self.args.json {
            json::header(&mut out, &self.table);
        } else if totals.with_entries > 0 {
            out.push_str(text::HEADING);
        }
        for snapshot in &snapshots {
            let page_flags = self.page_flags.as_ref();
            for view in views(snapshot, &snapshot.entries, self.table.page_size, page_flags) {
                if self.args.json { json::range(&mut out, &view, None) } else { text::range(&mut out, &view) }
            }
        }
        if self.args.json {
            json::totals(&mut out, &totals)
        } else {
            text::totals(&mut out, &totals)
        }
        print(&out)?;
        Ok(totals)
    }

    /// The exit code, after everything is printed.
    fn judge(&self, totals: &Totals, fail_on: &[SwapKind]) -> Result<u8, Error> {
        let forbidden: u64 = fail_on.iter().map(|kind| totals.count(Kind::Special(*kind))).sum();
        if forbidden > 0 {
            let names: Vec<&str> = fail_on
                .iter()
                .filter(|kind| totals.count(Kind::Special(**kind)) > 0)
                .map(|kind| kind.name())
                .collect();
            self.status.important(&format!("forbidden entries found: {} ({forbidden})", names.join(", ")));
            return Ok(ExitCode::Violation as u8);
        }
        let hidden = totals.count(Kind::Hidden);
        if hidden > 0 {
            return Err(Error::prerequisite(
                format!("cannot classify {hidden} entries: swapped pages or special entries"),
                "run as root, or with CAP_SYS_ADMIN in the first user namespace",
            ));
        }
        if totals.processes == 0 && totals.denied > 0 {
            return Err(Error::prerequisite(
                "no process can be read",
                "run as root, or with CAP_SYS_PTRACE and CAP_SYS_ADMIN",
            ));
        }
        let swap = totals.count(Kind::Swap);
        let contradiction = swap > 0 && !has_swap(&self.system);
        if contradiction {
            self.status.important(&format!(
                "{swap} entries have the type of a swap area, but there is no swap: the swap types do not match this \
                 kernel"
            ));
        }
        // What was not seen, or not understood, is no proof that nothing was there.
        let unsure = totals.denied > 0
            || contradiction
            || self.table.doubt.is_some() && totals.counts.values().any(|count| *count > 0);
        if !fail_on.is_empty() && unsure {
            self.status.important("no verdict: some process could not be read, or the types are in doubt");
            return Ok(ExitCode::Inconclusive as u8);
        }
        Ok(0)
    }
}

/// Whether any swap area is in use. Where that cannot be read, there may be one.
fn has_swap(system: &SystemFiles) -> bool {
    system.text("/proc/swaps").map_or(true, |text| text.lines().count() > 1)
}

fn explain(error: AuditError) -> Error {
    let cause = error.to_string();
    match error {
        AuditError::NoProcess(_) | AuditError::Vanished(_) => {
            Error::failure(cause, "use the id of a running process, as shown by ps")
        }
        AuditError::NoAddressSpace(_) => {
            Error::failure(cause, "use the id of a process with an address space")
        }
        AuditError::Denied(_) => Error::prerequisite(
            cause,
            "run as root, or as the process's user; a process that changed its uid or is not dumpable needs \
             CAP_SYS_PTRACE",
        ),
        AuditError::Read { .. } => Error::failure(cause, "mount proc at /proc"),
    }
}

fn explain_types(error: TypesError) -> Error {
    let cause = error.to_string();
    match error {
        TypesError::NoEvidence => Error::prerequisite(
            cause,
            "use --btf, --kallsyms or --config, or give the types with --types-from",
        ),
        TypesError::File { .. } => Error::failure(cause, "use another file, or drop the option"),
        TypesError::Line { .. } => Error::failure(
            cause,
            "use one line per type, with a number below 32 and a name, as `audit --types` prints",
        ),
    }
}
