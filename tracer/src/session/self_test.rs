//! A program of each kind that the plan uses, hit on purpose: what does not run then would not run for the plan.
//!
//! They hang on calls that hardly anybody makes, so that they cost the traced system nothing.

use std::ptr;

use aya::Ebpf;
use aya::maps::{Array, MapData};
use aya::programs::Program as Loaded;

use super::attach::attach_to;
use super::targets::Targets;
use crate::probe::{Plan, ProgramKind};

/// Calls that need no privilege, change nothing and are the same in every version.
const CALLS: [(&str, libc::c_long); 3] = [
    ("sched_get_priority_min", libc::SYS_sched_get_priority_min),
    ("sched_get_priority_max", libc::SYS_sched_get_priority_max),
    ("getpgid", libc::SYS_getpgid),
];

/// What comes before a call's name in the name of its function (include/linux/syscalls.h and the architectures'
/// asm/syscall_wrapper.h).
#[cfg(target_arch = "x86_64")]
const PREFIX: &str = "__x64_sys_";
#[cfg(target_arch = "aarch64")]
const PREFIX: &str = "__arm64_sys_";
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const PREFIX: &str = "sys_";

/// The tracepoint `timer:itimer_state`: setitimer(2) of this process fires it (kernel/time/itimer.c,
/// set_cpu_itimer).
const TRACEPOINT: &str = "itimer_state";

/// A try fails when the kernel skips a program, which it counts elsewhere; not so often in a row.
const TRIES: usize = 3;

/// What hits a program.
#[derive(Clone, Copy)]
enum Trigger {
    Call(libc::c_long),
    Timer,
}

impl Trigger {
    /// Whether the kernel took the call: a filter (seccomp) may keep it from getting there.
    fn pull(self) -> bool {
        let result = match self {
            // SAFETY: takes a number that every kernel knows; 0 is SCHED_OTHER, or this process.
            Self::Call(number) => unsafe { libc::syscall(number, 0) },
            Self::Timer => {
                let off = [0_u64; 4];
                // SAFETY: reads `struct itimerval`, four 64-bit words; this process has no such timer.
                unsafe {
                    libc::syscall(libc::SYS_setitimer, libc::ITIMER_VIRTUAL, off.as_ptr(), ptr::null::<u64>())
                }
            }
        };
        result >= 0
    }
}

/// The programs that are attached to be hit.
#[derive(Default)]
pub struct SelfTest {
    hits: Option<Array<MapData, u64>>,
    attached: Vec<(ProgramKind, Trigger)>,
}

impl SelfTest {
    /// Attaches a program of each kind that the plan uses. What the kernel refuses is left out: it cannot be tested.
    pub fn attach(ebpf: &mut Ebpf, plan: &Plan, targets: &mut Targets<'_>) -> Self {
        let mut kinds: Vec<ProgramKind> = Vec::new();
        for (_, program) in plan.programs() {
            if !kinds.contains(&program.kind) {
                kinds.push(program.kind);
            }
        }
        let attached =
            kinds.into_iter().filter_map(|kind| Some((kind, attach(ebpf, kind, targets)?))).collect();
        Self { hits: ebpf.take_map("SELF_TEST").and_then(|map| Array::try_from(map).ok()), attached }
    }

    /// Whether programs of that kind run now; `None` when that cannot be tested.
    pub fn fires(&self, kind: ProgramKind) -> Option<bool> {
        let (_, trigger) = self.attached.iter().find(|(attached, _)| *attached == kind)?;
        let hits = || self.hits.as_ref()?.get(&(kind.way() as u32), 0).ok();
        for _ in 0..TRIES {
            let before = hits()?;
            if !trigger.pull() {
                return None;
            }
            if hits()? != before {
                return Some(true);
            }
        }
        Some(false)
    }
}

/// Attaches the program of that kind to the first call that takes it.
fn attach(ebpf: &mut Ebpf, kind: ProgramKind, targets: &mut Targets<'_>) -> Option<Trigger> {
    let program = ebpf.program_mut(&format!("{}_self_test", kind.name()))?;
    if matches!(kind, ProgramKind::BtfTracepoint | ProgramKind::RawTracepoint) {
        return attach_to(program, kind, TRACEPOINT, targets).ok().map(|_| Trigger::Timer);
    }
    // Trampolines and kprobes on functions of their own: one may work where both together do not.
    let calls =
        CALLS.iter().cycle().skip(usize::from(matches!(kind, ProgramKind::Kprobe | ProgramKind::Kretprobe)));
    for (name, number) in calls.take(CALLS.len()) {
        match attach_to(program, kind, &format!("{PREFIX}{name}"), targets) {
            Ok(_) => return Some(Trigger::Call(*number)),
            Err(_) => unload(program),
        }
    }
    None
}

fn unload(program: &mut Loaded) {
    // What was never loaded has nothing to unload.
    let _ = match program {
        Loaded::FEntry(program) => program.unload(),
        Loaded::FExit(program) => program.unload(),
        Loaded::KProbe(program) => program.unload(),
        _ => Ok(()),
    };
}
