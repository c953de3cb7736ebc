//! Which eBPF programs serve a choice, and what they are called.

use tracer_common::copies::COPIES;
use tracer_common::point::Point;
use tracer_common::self_test::Way;

use super::AttachMethod;
use super::catalogue::AttachPhase;
use super::request::Request;

/// Kind of a program, and so the call that loads and attaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProgramKind {
    /// At the entry, through a trampoline.
    Fentry,
    /// At the return, through a trampoline.
    Fexit,
    /// At the entry, through a breakpoint or ftrace.
    Kprobe,
    /// At the return of a function with a kprobe.
    Kretprobe,
    /// A tracepoint whose arguments have BTF types.
    BtfTracepoint,
    /// A tracepoint whose arguments are plain numbers.
    RawTracepoint,
}

impl ProgramKind {
    /// Its name in output, and the beginning of the program's name in the object.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fentry => "fentry",
            Self::Fexit => "fexit",
            Self::Kprobe => "kprobe",
            Self::Kretprobe => "kretprobe",
            Self::BtfTracepoint => "tp",
            Self::RawTracepoint => "raw_tp",
        }
    }

    /// Its counter in the self-test.
    pub const fn way(self) -> Way {
        match self {
            Self::Fentry => Way::Fentry,
            Self::Fexit => Way::Fexit,
            Self::Kprobe => Way::Kprobe,
            Self::Kretprobe => Way::Kretprobe,
            Self::BtfTracepoint => Way::BtfTracepoint,
            Self::RawTracepoint => Way::RawTracepoint,
        }
    }
}

/// One program to load and attach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name in the object: `{kind}_{point}`.
    pub name: String,
    /// How it is loaded and attached.
    pub kind: ProgramKind,
    /// Kernel function, or tracepoint without its category.
    pub target: String,
}

impl Program {
    pub(super) fn new(kind: ProgramKind, point: Point, target: &str) -> Self {
        Self { name: format!("{}_{}", kind.name(), snake(point)), kind, target: target.to_owned() }
    }

    /// The program and its copies, in the order in which they have to be attached so that it runs first.
    pub fn with_copies(&self) -> Vec<Self> {
        let copies = (2..=COPIES).map(|copy| Self { name: format!("{}_{copy}", self.name), ..self.clone() });
        let mut all: Vec<Self> = std::iter::once(self.clone()).chain(copies).collect();
        match self.kind {
            // Preemption is off in these.
            ProgramKind::Kprobe | ProgramKind::Kretprobe => all.truncate(1),
            // The last one attached runs first (kernel/bpf/trampoline.c, `__bpf_trampoline_link_prog`).
            ProgramKind::Fentry | ProgramKind::Fexit => all.reverse(),
            // The first one does (kernel/tracepoint.c, `func_add`).
            ProgramKind::BtfTracepoint | ProgramKind::RawTracepoint => {}
        }
        all
    }
}

/// Programs at the entry and at the return that a point needs.
pub(super) fn needed(phase: AttachPhase, method: AttachMethod, request: &Request) -> (bool, bool) {
    let keeps_arguments = method == AttachMethod::Fentry;
    match phase {
        AttachPhase::Entry => (true, false),
        AttachPhase::Result => (false, true),
        AttachPhase::Both => (true, true),
        // A kretprobe has no arguments: its kprobe keeps them.
        AttachPhase::Return => (request.latency || !keeps_arguments, true),
        AttachPhase::Untimed => (!keeps_arguments, true),
        AttachPhase::EntryAnd(kind) => (true, request.kinds.contains(&kind)),
    }
}

/// The point's variant in snake case.
fn snake(point: Point) -> String {
    let mut name = String::new();
    for letter in format!("{point:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::catalogue;

    /// The object's source: what it calls its programs, and which ends need their beginning.
    const SOURCE: &str = include_str!("../../../tracer-ebpf/src/programs.rs");

    /// The object.
    const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tracer-ebpf.o"));

    fn has(name: &str) -> bool {
        SOURCE.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').any(|word| word == name)
    }

    #[test]
    fn names_are_the_objects() {
        for entry in catalogue::entries() {
            let kinds: &[ProgramKind] = match (entry.candidates[0].tracepoint(), entry.phase) {
                (Some(_), _) => &[ProgramKind::BtfTracepoint, ProgramKind::RawTracepoint],
                (None, AttachPhase::Entry) => &[ProgramKind::Fentry, ProgramKind::Kprobe],
                (None, AttachPhase::Result) => &[ProgramKind::Fexit, ProgramKind::Kretprobe],
                (None, AttachPhase::Untimed) => {
                    &[ProgramKind::Fexit, ProgramKind::Kprobe, ProgramKind::Kretprobe]
                }
                (None, _) => {
                    &[ProgramKind::Fentry, ProgramKind::Fexit, ProgramKind::Kprobe, ProgramKind::Kretprobe]
                }
            };
            for kind in kinds {
                let program = Program::new(*kind, entry.point, "");
                assert!(has(&program.name), "the object has no {}", program.name);
            }
        }
    }

    #[test]
    fn every_program_that_can_be_preempted_has_its_copies() {
        for entry in catalogue::entries() {
            let kinds: &[ProgramKind] = match (entry.candidates[0].tracepoint(), entry.phase) {
                (Some(_), _) => &[ProgramKind::BtfTracepoint, ProgramKind::RawTracepoint],
                (None, AttachPhase::Entry) => &[ProgramKind::Fentry],
                (None, AttachPhase::Result | AttachPhase::Untimed) => &[ProgramKind::Fexit],
                (None, _) => &[ProgramKind::Fentry, ProgramKind::Fexit],
            };
            for copy in kinds.iter().flat_map(|kind| Program::new(*kind, entry.point, "").with_copies()) {
                // The table of names keeps one that is the end of another only once.
                let found = OBJECT.split(|byte| *byte == 0).any(|name| name.ends_with(copy.name.as_bytes()));
                assert!(found, "the object has no {}", copy.name);
            }
        }
    }

    #[test]
    fn the_program_itself_runs_before_its_copies() {
        let names = |kind| -> Vec<String> {
            let program = Program::new(kind, Point::TryToUnmap, "try_to_unmap");
            program.with_copies().into_iter().map(|copy| copy.name).collect()
        };
        assert_eq!(
            names(ProgramKind::Fexit),
            ["fexit_try_to_unmap_3", "fexit_try_to_unmap_2", "fexit_try_to_unmap"]
        );
        assert_eq!(names(ProgramKind::BtfTracepoint)[0], "tp_try_to_unmap");
        assert_eq!(names(ProgramKind::Kretprobe), ["kretprobe_try_to_unmap"]);
    }

    #[test]
    fn moments_are_the_objects() {
        for entry in catalogue::entries().filter(|entry| entry.candidates[0].tracepoint().is_none()) {
            let point = format!("{:?}", entry.point);
            let expected = match entry.phase {
                AttachPhase::Entry => vec![format!("at_entry!({point}:")],
                AttachPhase::EntryAnd(kind) => vec![format!("at_entry_and_return!({point}, {kind:?}")],
                AttachPhase::Return => vec![format!("at_return!({point}, ForLatency")],
                AttachPhase::Untimed => {
                    vec![
                        format!("at_return!({point}, ForArguments"),
                        format!("at_return_if!(dma::must_bounce, {point}"),
                    ]
                }
                AttachPhase::Both => {
                    vec![format!("at_return!({point}, Always"), format!("at_return!({point}, WhereNoted")]
                }
                AttachPhase::Result => vec![format!("Point::{point}, Pairs::Never")],
            };
            assert!(expected.iter().any(|text| SOURCE.contains(text)), "the object has none of {expected:?}");
        }
    }

    #[test]
    fn snake_case() {
        assert_eq!(snake(Point::PageMlockOne), "page_mlock_one");
        assert_eq!(snake(Point::SwiotlbTblUnmapSingle), "swiotlb_tbl_unmap_single");
    }
}
