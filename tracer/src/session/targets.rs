//! What programs are attached to, in the form that aya looks it up in.
//!
//! aya reads all types of the kernel and compares name after name, for each program; and it takes no BTF with kinds
//! of types that it does not know, so that on a newer kernel no trampoline could be attached. What it is given here
//! has the kernel's ids and few names.

use std::borrow::Cow;
use std::collections::BTreeSet;

use aya::Endianness;
use aya::programs::ProgramError;

use crate::kernel::{Btf, Facts};
use crate::probe::{Plan, ProgramKind};

/// Ids of functions and tracepoints.
pub struct Targets<'facts> {
    /// None where the kernel has no types of its own: it has no ids then.
    kernel: Option<Cow<'facts, Btf>>,
    names: BTreeSet<String>,
    ids: Option<aya::Btf>,
}

impl<'facts> Targets<'facts> {
    /// Those of the running kernel. Types from a file are of no use: ids must be the kernel's own.
    pub fn of(facts: &'facts Facts, plan: &Plan) -> Self {
        let kernel = if facts.btf_is_given {
            Btf::of_running_kernel().ok().map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(&facts.btf))
        };
        let names = plan.programs().filter_map(|(_, program)| type_name(program.kind, &program.target));
        Self { kernel, names: names.collect(), ids: None }
    }

    /// BTF in which aya finds a program's target.
    ///
    /// # Errors
    /// When there is none.
    pub fn with(&mut self, kind: ProgramKind, target: &str) -> Result<&aya::Btf, ProgramError> {
        let unknown =
            || ProgramError::Btf(aya::BtfError::UnknownBtfTypeName { type_name: target.to_owned() });
        let name = type_name(kind, target).ok_or_else(unknown)?;
        let kernel = self.kernel.as_deref().ok_or_else(unknown)?;
        if self.names.insert(name) || self.ids.is_none() {
            let data = kernel.attachable(self.names.iter().map(String::as_str));
            self.ids = Some(aya::Btf::parse(&data, Endianness::default())?);
        }
        self.ids.as_ref().ok_or_else(unknown)
    }
}

/// The name of the type whose id says what a program of that kind is attached to; none for those that need no type.
fn type_name(kind: ProgramKind, target: &str) -> Option<String> {
    match kind {
        ProgramKind::Fentry | ProgramKind::Fexit => Some(target.to_owned()),
        // 6.12 include/trace/bpf_probe.h.
        ProgramKind::BtfTracepoint => Some(format!("btf_trace_{target}")),
        ProgramKind::Kprobe | ProgramKind::Kretprobe | ProgramKind::RawTracepoint => None,
    }
}
