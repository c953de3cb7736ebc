//! What the programs themselves cost, as the kernel measures it when it is asked to.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use super::attach::Probes;
use crate::Error;
use crate::overhead::ProgramCost;
use crate::probe::Plan;

/// `BPF_ENABLE_STATS` (include/uapi/linux/bpf.h, `enum bpf_cmd`; since 5.8).
const BPF_ENABLE_STATS: libc::c_long = 32;

/// `BPF_STATS_RUN_TIME`, the whole of that command's attribute.
const BPF_STATS_RUN_TIME: u32 = 0;

/// The kernel measures as long as this lives.
pub struct Costs {
    _measuring: OwnedFd,
    before: BTreeMap<String, (u64, u64)>,
}

impl Costs {
    /// Lets the kernel measure.
    ///
    /// # Errors
    /// When it does not: before 5.8, or without CAP_SYS_ADMIN.
    pub fn begin(probes: &Probes, plan: &Plan) -> Result<Self, Error> {
        let kind = BPF_STATS_RUN_TIME;
        // SAFETY: the attribute is as long as it says.
        let fd =
            unsafe { libc::syscall(libc::SYS_bpf, BPF_ENABLE_STATS, &raw const kind, size_of_val(&kind)) };
        let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(|| {
            let error = io::Error::last_os_error();
            Error::prerequisite(
                format!("the kernel does not measure what programs cost: {error}"),
                "drop --overhead; it needs Linux 5.8 and CAP_SYS_ADMIN",
            )
        })?;
        // SAFETY: the kernel just made this descriptor for us.
        let measuring = unsafe { OwnedFd::from_raw_fd(fd) };
        let before = probes.costs(plan).into_iter().map(|cost| (cost.name, (cost.time, cost.runs))).collect();
        Ok(Self { _measuring: measuring, before })
    }

    /// What the programs cost since then, the dearest first. They must be loaded still.
    pub fn end(self, probes: &Probes, plan: &Plan) -> Vec<ProgramCost> {
        let since = |cost: ProgramCost| {
            let (time, runs) = self.before.get(&cost.name).copied().unwrap_or_default();
            ProgramCost { time: cost.time.saturating_sub(time), runs: cost.runs.saturating_sub(runs), ..cost }
        };
        let mut costs: Vec<ProgramCost> = probes.costs(plan).into_iter().map(since).collect();
        costs.sort_by(|one, other| other.time.cmp(&one.time).then_with(|| one.name.cmp(&other.name)));
        costs
    }
}
