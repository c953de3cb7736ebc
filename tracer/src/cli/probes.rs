//! `rmapscope probes`: every event, and what a session would watch it through. Attaches nothing.

use std::path::Path;

use rmapscope::Error;
use rmapscope::kernel::{
    Btf, Facts, FactsOptions, Lockdown, RUNNING_KERNEL_BTF, Symbols, SystemFiles, resolve_layout,
};
use rmapscope::probe::table::{self, Detail, Source};
use rmapscope::probe::{KernelView, KnownKernel, Outcome, Plan, Request, select};

use super::GlobalArgs;
use super::choice::{EventArgs, event_list};
use super::session_args::{KernelArgs, RequestArgs};
use super::standard_output::{print, print_result};

/// List every event with the kernel function to attach to, or the reason why there is none.
///
/// Attaches nothing and needs no privilege. Without privilege, it is unknown which functions ftrace can hook and where
/// kprobes are forbidden. -v shows every candidate, and why it was rejected. If --btf has the types of another kernel,
/// the list is for that kernel, and --kallsyms must belong to it, too.
#[derive(Debug, clap::Args)]
pub struct ProbesArgs {
    #[command(flatten)]
    pub events: EventArgs,
    #[command(flatten)]
    pub request: RequestArgs,
    /// Print one JSON object instead of a table.
    #[arg(short = 'j', long)]
    pub json: bool,
    #[command(flatten)]
    pub kernel: KernelArgs,
}

/// Prints the plan on standard output.
///
/// # Errors
/// A failure (exit code 2) for an unknown event or a file that cannot be used, a prerequisite (exit code 4) when
/// the running kernel has no BTF.
pub fn run(args: &ProbesArgs, global: &GlobalArgs) -> Result<(), Error> {
    let Some(events) = args.events.chosen()? else {
        return print(&event_list()).map(drop);
    };
    let RequestArgs { per_vma, latency, attach } = args.request;
    let mut request =
        Request { kinds: select(&events, per_vma), latency, attach: attach.into(), ..Request::default() };
    let another = match &args.kernel.btf {
        None => None,
        Some(path) => {
            let btf = Btf::load(path).map_err(|error| {
                Error::failure(error.to_string(), "use a BTF file, such as /sys/kernel/btf/vmlinux")
            })?;
            let is_running = args.kernel.kallsyms.is_none() && Facts::are_types_of_running_kernel(&btf);
            (!is_running).then_some((path, btf))
        }
    };
    match another {
        None => {
            let options = FactsOptions {
                btf: args.kernel.btf.clone(),
                kallsyms: args.kernel.kallsyms.clone(),
                function_lists: true,
                ..FactsOptions::default()
            };
            let facts = Facts::of_running_kernel(&options)?;
            let lockdown = match Lockdown::read(&SystemFiles::live()) {
                Lockdown::Unknown => None,
                known => Some(known == Lockdown::Confidentiality),
            };
            request.probe_read = lockdown != Some(true);
            request.look_at_switches(&SystemFiles::live());
            let source = Source {
                release: Some(facts.description.release.clone()),
                btf: args
                    .kernel
                    .btf
                    .as_deref()
                    .map_or_else(|| RUNNING_KERNEL_BTF.into(), Path::to_string_lossy)
                    .into(),
                symbols_verified: !facts.symbols.is_empty(),
                lockdown,
            };
            show(args, global, &facts, &request, &source)
        }
        Some((path, btf)) => {
            let symbols = args.kernel.kallsyms.as_deref().map(load_symbols).transpose()?;
            let (layout, _) = resolve_layout(&btf);
            let source = Source {
                release: None,
                btf: path.to_string_lossy().into_owned(),
                symbols_verified: symbols.is_some(),
                lockdown: None,
            };
            show(args, global, &KnownKernel::described(&btf, &layout, symbols.as_ref()), &request, &source)
        }
    }
}

fn load_symbols(path: &Path) -> Result<Symbols, Error> {
    Symbols::load(path)
        .map_err(|error| Error::failure(error.to_string(), "use a copy of that kernel's /proc/kallsyms"))
}

fn show(
    args: &ProbesArgs,
    global: &GlobalArgs,
    kernel: &dyn KernelView,
    request: &Request,
    source: &Source,
) -> Result<(), Error> {
    let plan = Plan::make(kernel, request);
    let detail = Detail { asked_only: args.events.any(), candidates: global.verbose > 0 };
    let output = if args.json {
        table::json(&plan, source, detail).map_err(|error| {
            Error::failure(format!("cannot print as JSON: {error}"), "please report this bug")
        })?
    } else {
        table::text(&plan, detail)
    };
    print_result(&output)?;
    let status = global.status();
    let asked = plan.points.iter().filter(|planned| planned.report.outcome != Outcome::NotAsked);
    let ready = asked.clone().filter(|planned| planned.candidate.is_some()).count();
    status.note(&format!("{ready} of {} points can be attached; nothing was attached", asked.count()));
    if !source.symbols_verified {
        status.note("symbols are not readable: functions in BTF may be missing from the kernel");
    }
    match source.lockdown {
        Some(true) => {
            status.note("the kernel is in lockdown (confidentiality): no kprobes, no reads of kernel memory");
        }
        None if source.release.is_some() => {
            status.note("lockdown state unknown (securityfs is not mounted): assuming none");
        }
        _ => {}
    }
    Ok(())
}
