//! Which eBPF programs serve a choice, and what they are called.

use tracer_common::copies::COPIES;
use tracer_common::point::{AttachPhase, Point};
use tracer_common::self_test::Way;

use super::AttachMethod;
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
pub(super) fn needed(point: Point, method: AttachMethod, request: &Request) -> (bool, bool) {
    if request.entries_only && point.counted_at_entry().is_some() {
        return (true, false);
    }
    let keeps_arguments = method == AttachMethod::Fentry;
    match point.phase() {
        AttachPhase::Entry => (true, false),
        AttachPhase::Result => (false, true),
        AttachPhase::Both | AttachPhase::BothWhere => (true, true),
        // A kretprobe has no arguments: its kprobe keeps them.
        AttachPhase::Return => (request.latency || !keeps_arguments, true),
        AttachPhase::Untimed | AttachPhase::UntimedWhere => (!keeps_arguments, true),
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

    /// The object.
    const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/tracer-ebpf.o"));

    /// Whether the object has a program. The table of names keeps one that is the end of another only once.
    fn has(name: &str) -> bool {
        OBJECT.split(|byte| *byte == 0).any(|found| found.ends_with(name.as_bytes()))
    }

    /// Programs that some session attaches to the point.
    fn kinds_of(entry: &catalogue::Entry) -> Vec<ProgramKind> {
        use ProgramKind::{BtfTracepoint, Fentry, Fexit, Kprobe, Kretprobe, RawTracepoint};
        if entry.candidates[0].tracepoint().is_some() {
            return vec![BtfTracepoint, RawTracepoint];
        }
        let request = Request { latency: true, kinds: entry.all_kinds().collect(), ..Request::default() };
        let ways = [(AttachMethod::Fentry, Fentry, Fexit), (AttachMethod::Kprobe, Kprobe, Kretprobe)];
        let attached = |(method, at_entry, at_return)| {
            let (entered, left) = needed(entry.point, method, &request);
            [entered.then_some(at_entry), left.then_some(at_return)].into_iter().flatten()
        };
        ways.into_iter().flat_map(attached).collect()
    }

    #[test]
    fn every_program_is_in_the_object_and_has_its_copies() {
        for entry in catalogue::entries() {
            for program in kinds_of(entry).into_iter().map(|kind| Program::new(kind, entry.point, "")) {
                for copy in program.with_copies() {
                    assert!(has(&copy.name), "the object has no {}", copy.name);
                }
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
    fn calls_that_are_counted_where_they_begin_have_no_program_at_their_end() {
        let needed = |entries_only, point| {
            needed(point, AttachMethod::Fentry, &Request { entries_only, ..Request::default() })
        };
        assert_eq!(needed(false, Point::TryToUnmap), (false, true));
        assert_eq!(needed(true, Point::TryToUnmap), (true, false));
        assert_eq!(needed(true, Point::SwiotlbMap), (false, true));
        for point in Point::ALL {
            assert!(point.counted_at_entry().is_none_or(|kind| point.kinds() == [kind]), "{point:?}");
        }
    }

    #[test]
    fn snake_case() {
        assert_eq!(snake(Point::PageMlockOne), "page_mlock_one");
        assert_eq!(snake(Point::SwiotlbTblUnmapSingle), "swiotlb_tbl_unmap_single");
    }
}
