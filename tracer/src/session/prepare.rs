//! What comes before the first probe: privilege, facts of the kernel, the plan.

use tracer_common::family::Family;

use crate::kernel::{Facts, FactsOptions, Privileges, SystemFiles};
use crate::probe::{KnownKernel, Outcome, Plan, Request};
use crate::{Error, open_files};

/// Looks at this process and the kernel, and plans what to attach. `request.probe_read` is set to what the
/// kernel allows.
///
/// # Errors
/// A prerequisite when privilege or BTF is missing, or when none of the events asked for can be traced here.
pub fn prepare(request: &mut Request, facts: &FactsOptions) -> Result<(Facts, Plan), Error> {
    let privileges = Privileges::read(&SystemFiles::live());
    if !privileges.may_trace() {
        return Err(not_permitted(&privileges));
    }
    open_files::raise_limit();
    let facts = Facts::of_running_kernel(facts)?;
    // The kernel is asked, not its version or its lockdown state: it either gives the helper or not.
    request.probe_read = aya::features().bpf_probe_read_kernel();
    request.look_at_switches(&SystemFiles::live());
    let plan = Plan::make(&KnownKernel::of(&facts), request);
    match why_nothing(&plan) {
        None => Ok((facts, plan)),
        Some(reason) => Err(Error::prerequisite(
            format!("none of these events can be traced on this kernel: {reason}"),
            request
                .off
                .first()
                .map_or("`rmapscope probes` shows what can, and why the rest cannot", |off| off.remedy()),
        )),
    }
}

fn not_permitted(privileges: &Privileges) -> Error {
    if privileges.effective_uid.is_none() {
        return Error::prerequisite(
            "/proc is not mounted here: cannot find out what this process may do",
            "mount -t proc proc /proc",
        );
    }
    if privileges.first_user_namespace == Some(false) {
        return Error::prerequisite(
            "not permitted to trace this kernel: this is not the first user namespace, and capabilities count in it only",
            "run outside the container, or in one that shares the host's user namespace",
        );
    }
    Error::prerequisite(
        "not permitted to trace this kernel",
        "run as root, or with CAP_BPF, CAP_PERFMON and CAP_SYSLOG; see `rmapscope doctor`",
    )
}

/// Why no point beside those of process life can be attached; `None` when one can.
pub fn why_nothing(plan: &Plan) -> Option<String> {
    let mut reason = None;
    for planned in plan.points.iter().filter(|planned| planned.point.family() != Family::Process) {
        let why = match &planned.report.outcome {
            Outcome::Attached { .. } | Outcome::Fallback { .. } => return None,
            Outcome::NotAsked => continue,
            outcome => super::gaps::reason(outcome),
        };
        reason.get_or_insert(format!("{}: {why}", planned.report.point));
    }
    reason
}
