//! What the plan asks of a kernel.

use crate::kernel::FunctionSignature;

/// How often a symbol's name occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The kernel's symbols are not known.
    Unknown,
    /// Not at all.
    Absent,
    /// Once.
    Once,
    /// So often: the kernel cannot tell which is meant.
    Several(usize),
}

/// A kernel, as far as the plan needs to know it: the running one, one described by files, or a made-up one.
pub trait KernelView {
    /// Signature of a function in BTF.
    fn function(&self, name: &str) -> Option<FunctionSignature>;

    /// Arguments of a tracepoint (name without category), as programs see them.
    fn tracepoint(&self, name: &str) -> Option<FunctionSignature>;

    /// Whether there is a symbol of that very name.
    fn symbol(&self, name: &str) -> Presence;

    /// Copies of the function that the compiler made, `name.isra.0` and the like.
    fn variants(&self, name: &str) -> Vec<String>;

    /// Whether ftrace can hook the function, which a trampoline needs; `None` when that cannot be found out.
    fn is_traceable(&self, name: &str) -> Option<bool>;

    /// Whether kprobes are forbidden there; `None` when that cannot be found out.
    fn is_blacklisted(&self, name: &str) -> Option<bool>;

    /// Whether a configuration option (without `CONFIG_`) is set; `None` when that cannot be found out.
    fn config(&self, option: &str) -> Option<bool>;

    /// Whether the field, named as in [`Layout`](tracer_common::globals::Layout), has an offset.
    fn has_field(&self, field: &str) -> bool;

    /// Whether BPF programs have the helper with that enumerator of `enum bpf_func_id`.
    fn has_helper(&self, enumerator: &str) -> bool;

    /// Why the page tables of processes cannot be read by programs, lockdown aside; `None` when they can.
    fn no_page_tables(&self) -> Option<String>;

    /// Why programs cannot find the `struct page` of a page frame, lockdown aside; `None` when they can.
    fn no_memory_map(&self) -> Option<String>;

    /// Most arguments of a function that can have a trampoline.
    fn trampoline_arguments(&self) -> usize;

    /// Why there are no trampolines (fentry, fexit); `None` when there are.
    fn no_trampolines(&self) -> Option<String>;

    /// Why there are no kprobes; `None` when there are.
    fn no_kprobes(&self) -> Option<String>;
}
