//! Which eBPF programs serve a choice, and what they are called.

use tracer_common::point::Point;
use tracer_common::self_test::Way;

use super::AttachMethod;
use super::catalogue::Moment;
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

    /// Whether it runs before the function.
    pub const fn is_entry(self) -> bool {
        matches!(self, Self::Fentry | Self::Kprobe)
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
}

/// Programs at the entry and at the return that a point needs.
pub(super) fn needed(moment: Moment, method: AttachMethod, request: &Request) -> (bool, bool) {
    let keeps_arguments = method == AttachMethod::Fentry;
    match moment {
        Moment::Entry => (true, false),
        Moment::Result => (false, true),
        Moment::Both => (true, true),
        // A kretprobe has no arguments: its kprobe keeps them.
        Moment::Return => (request.latency || !keeps_arguments, true),
        Moment::Untimed => (!keeps_arguments, true),
        Moment::EntryAnd(kind) => (true, request.kinds.contains(&kind)),
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

    fn has(name: &str) -> bool {
        SOURCE.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').any(|word| word == name)
    }

    #[test]
    fn names_are_the_objects() {
        for entry in catalogue::entries() {
            let kinds: &[ProgramKind] = match (entry.candidates[0].tracepoint(), entry.moment) {
                (Some(_), _) => &[ProgramKind::BtfTracepoint, ProgramKind::RawTracepoint],
                (None, Moment::Entry) => &[ProgramKind::Fentry, ProgramKind::Kprobe],
                (None, Moment::Result) => &[ProgramKind::Fexit, ProgramKind::Kretprobe],
                (None, Moment::Untimed) => &[ProgramKind::Fexit, ProgramKind::Kprobe, ProgramKind::Kretprobe],
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
    fn moments_are_the_objects() {
        for entry in catalogue::entries().filter(|entry| entry.candidates[0].tracepoint().is_none()) {
            let point = format!("{:?}", entry.point);
            let expected = match entry.moment {
                Moment::Entry => vec![format!("at_entry!({point}:")],
                Moment::EntryAnd(kind) => vec![format!("at_entry_and_return!({point}, {kind:?}")],
                Moment::Return => vec![format!("at_return!({point}, ForLatency")],
                Moment::Untimed => {
                    vec![
                        format!("at_return!({point}, ForArguments"),
                        format!("at_return_if!(dma::must_bounce, {point}"),
                    ]
                }
                Moment::Both => {
                    vec![format!("at_return!({point}, Always"), format!("at_return!({point}, WhereNoted")]
                }
                Moment::Result => vec![format!("Point::{point}, Pairs::Never")],
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
