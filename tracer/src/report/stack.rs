//! Kernel stacks without what the tracer itself put on them.
//!
//! A stack is taken by a BPF program, so its innermost frames can be that program and what called it, and every
//! function with a return probe of its own that is further out leaves a trampoline between two frames of itself:
//! an fexit trampoline is called by the first instruction of the function and calls the rest of it (6.12
//! arch/x86/net/bpf_jit_comp.c, `__arch_prepare_bpf_trampoline` with `BPF_TRAMP_F_CALL_ORIG`).

use std::borrow::Cow;

use tracer_common::event::Kind;

use crate::event::{Frame, place};
use crate::probe::{AttachMethod, Outcome, PointReport};

/// A tracepoint calls its BPF programs through `bpf_trace_run1` to `bpf_trace_run12`, three frames at most from
/// where the stack is taken: a program may have one of its own functions in between.
const PROGRAM_FRAMES: usize = 4;
const TRACEPOINT_CALL: &str = "bpf_trace_run";

/// Return probes put one of these in the place of the address to return to (5.15 to 6.12, kernel/kprobes.c and
/// kernel/trace/rethook.c with their code per architecture).
const RETURN_TRAMPOLINES: [&str; 3] =
    ["arch_rethook_trampoline", "__kretprobe_trampoline", "kretprobe_trampoline"];

/// Largest offset to which the call at the very beginning of a function returns: `endbr64` and a call on x86-64,
/// `bti`, `mov` and `bl` on arm64.
const ENTRY_CALL: u64 = 12;

/// The kernel's own frames of a stack, innermost first: of an event that is a function's call the function itself,
/// unless it was seen by a return probe, of a tracepoint the function that has it.
pub fn kernel_frames(frames: &[Frame]) -> Vec<&Frame> {
    let inner = frames.iter().take(PROGRAM_FRAMES).position(is_tracepoint_call).map_or(0, |place| place + 1);
    let mut frames = &frames[inner..];
    while let [first, rest @ ..] = frames
        && first.symbol.is_none()
        && !rest.is_empty()
    {
        frames = rest;
    }
    let mut own: Vec<&Frame> = Vec::with_capacity(frames.len());
    let mut index = 0;
    while let Some(frame) = frames.get(index) {
        index += 1;
        let called = frames.get(index).filter(|next| is_called_at_entry(frame, next));
        match (own.last(), called) {
            (Some(inner), Some(outer)) if is_same_function(inner, outer) => index += 1,
            (_, Some(_)) if frame.symbol.is_none() => remove_program(&mut own),
            _ if is_tracepoint_call(frame) => remove_program(&mut own),
            _ if is_return_trampoline(frame) => {}
            _ => own.push(frame),
        }
    }
    own
}

/// Removes a program that an interrupt hit, and the helper of the kernel that it was in.
fn remove_program(frames: &mut Vec<&Frame>) {
    let is_helper = |frame: &&Frame| frame.symbol.as_deref().is_some_and(|symbol| symbol.starts_with("bpf_"));
    while frames.last().is_some_and(|frame| frame.symbol.is_none()) {
        frames.pop();
    }
    while frames.last().is_some_and(is_helper) {
        frames.pop();
    }
}

fn is_tracepoint_call(frame: &Frame) -> bool {
    frame.symbol.as_deref().is_some_and(|symbol| symbol.starts_with(TRACEPOINT_CALL))
}

fn is_return_trampoline(frame: &Frame) -> bool {
    frame.symbol.as_deref().is_some_and(|symbol| RETURN_TRAMPOLINES.contains(&symbol))
}

/// Whether `frame` can be a trampoline that `caller` entered with its first instruction. Trampolines have no symbol;
/// where a module lies below, they look like a place far behind its last symbol.
fn is_called_at_entry(frame: &Frame, caller: &Frame) -> bool {
    (frame.symbol.is_none() || frame.module.is_some())
        && caller.symbol.is_some()
        && caller.offset <= ENTRY_CALL
}

fn is_same_function(one: &Frame, other: &Frame) -> bool {
    one.symbol == other.symbol && one.module == other.module
}

/// A frame in a list: its function, or its address where there is no symbol.
pub fn frame_name(frame: &Frame) -> Cow<'_, str> {
    match &frame.symbol {
        Some(symbol) => Cow::Borrowed(symbol),
        None => Cow::Owned(format!("{:#x}", frame.address)),
    }
}

/// The functions that the session's probes are on, by the events that they make.
#[derive(Clone, Debug)]
pub struct Probed {
    symbols: Vec<Vec<Box<str>>>,
}

impl Probed {
    /// Those of a session with these probes. Tracepoints are no functions.
    pub fn new(probes: &[PointReport]) -> Self {
        let mut symbols = vec![Vec::new(); Kind::ALL.len()];
        for report in probes {
            let (Outcome::Attached { symbol, method } | Outcome::Fallback { symbol, method, .. }) =
                &report.outcome
            else {
                continue;
            };
            if matches!(method, AttachMethod::Fentry | AttachMethod::Kprobe) {
                for kind in report.kinds() {
                    symbols[place(kind)].push(symbol.as_str().into());
                }
            }
        }
        Self { symbols }
    }

    /// The frame that called the probed function, or that has the tracepoint; `frames` are the
    /// [kernel's own](kernel_frames).
    pub fn caller<'a>(&self, kind: Kind, frames: &[&'a Frame]) -> Option<&'a Frame> {
        let is_probed = |frame: &&Frame| {
            let symbol = frame.symbol.as_deref();
            self.symbols[place(kind)].iter().any(|probed| symbol == Some(&**probed))
        };
        let probed = frames.first().is_some_and(is_probed);
        frames.get(usize::from(probed)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &str) -> Frame {
        let (name, offset) = text.split_once('+').unwrap_or((text, "100"));
        let (symbol, module) = match name.split_once('@') {
            Some((symbol, module)) => (Some(symbol), Some(module.to_owned())),
            None => ((name != "?").then_some(name), None),
        };
        Frame {
            address: 0xffff_ffff_a000_1000,
            symbol: symbol.map(str::to_owned),
            offset: offset.parse().unwrap(),
            module,
        }
    }

    fn own(stack: &[&str]) -> Vec<String> {
        let frames: Vec<Frame> = stack.iter().map(|text| frame(text)).collect();
        kernel_frames(&frames).into_iter().map(|frame| frame_name(frame).into_owned()).collect()
    }

    #[test]
    fn a_tracepoint_begins_at_the_function_that_has_it() {
        assert_eq!(own(&["?", "bpf_trace_run2", "__set_task_comm"]), ["__set_task_comm"]);
        assert_eq!(own(&["?", "?", "bpf_trace_run12", "migrate_pages"]), ["migrate_pages"]);
    }

    #[test]
    fn trampolines_of_outer_functions_vanish() {
        assert_eq!(
            own(&["restore_exclusive_pte+5", "do_swap_page+900", "?", "do_swap_page+9", "handle_mm_fault"]),
            ["restore_exclusive_pte", "do_swap_page", "handle_mm_fault"]
        );
        assert_eq!(
            own(&["rmap_walk_anon", "try_to_migrate", "__this_module@scsi_common", "try_to_migrate+5", "a"]),
            ["rmap_walk_anon", "try_to_migrate", "a"]
        );
        // The function jumped away: nothing of it is within the trampoline.
        assert_eq!(own(&["inner", "?", "outer+9", "caller"]), ["inner", "outer", "caller"]);
    }

    #[test]
    fn a_program_that_was_interrupted_vanishes() {
        let interrupt = ["nvme_irq", "asm_common_interrupt"];
        let program = ["bpf_get_stackid", "bpf_get_stackid_raw_tp", "?"];
        let of_tracepoint = ["bpf_trace_run3", "remove_migration_pte"];
        let of_function = ["?", "remove_migration_pte+9"];
        for outer in [of_tracepoint, of_function] {
            let stack = [interrupt.as_slice(), &program, &outer].concat();
            assert_eq!(own(&stack), ["nvme_irq", "asm_common_interrupt", "remove_migration_pte"]);
        }
    }

    #[test]
    fn what_is_the_kernels_stays() {
        assert_eq!(own(&["f", "f", "g"]), ["f", "f", "g"]);
        assert_eq!(own(&["f", "ioctl@test_hmm", "vfs_ioctl+9"]), ["f", "ioctl", "vfs_ioctl"]);
        assert_eq!(own(&["f", "?", "f+200"]), ["f", "0xffffffffa0001000", "f"]);
        assert_eq!(own(&["?", "?"]), ["0xffffffffa0001000"]);
        assert!(own(&[]).is_empty());
    }

    #[test]
    fn return_probes_leave_a_name_of_their_own() {
        assert_eq!(own(&["arch_rethook_trampoline", "f", "__kretprobe_trampoline", "g"]), ["f", "g"]);
    }

    #[test]
    fn callers() {
        let report = |symbol: &str, method, event: &str| PointReport {
            point: symbol.to_owned(),
            family: "migrate".to_owned(),
            events: vec![event.to_owned()],
            outcome: Outcome::Attached { symbol: symbol.to_owned(), method },
            attempts: Vec::new(),
        };
        let probed = Probed::new(&[
            report("try_to_migrate", AttachMethod::Fentry, "try_to_migrate"),
            report("set_migration_pte", AttachMethod::Tracepoint, "migration_entry_set"),
        ]);
        let frames = [frame("try_to_migrate"), frame("migrate_pages")];
        let frames: Vec<&Frame> = frames.iter().collect();
        let name =
            |kind, frames: &[&Frame]| probed.caller(kind, frames).and_then(|frame| frame.symbol.clone());
        assert_eq!(name(Kind::TryToMigrate, &frames).as_deref(), Some("migrate_pages"));
        assert_eq!(name(Kind::TryToMigrate, &frames[1..]).as_deref(), Some("migrate_pages"));
        assert_eq!(name(Kind::MigrationEntrySet, &frames).as_deref(), Some("try_to_migrate"));
        assert_eq!(name(Kind::TryToMigrate, &frames[..1]), None);
    }
}
