//! The plan's view of a kernel that is there: the running one, or one described by files.

use tracer_common::globals::{Layout, OFFSET_ABSENT};

use super::view::{KernelView, Presence};
use crate::kernel::{Btf, Configuration, Facts, FunctionSignature, NameSet, Symbols};

/// Arguments that are passed in registers: all that a trampoline took before 6.6, on 64-bit Arm before 6.16.
const REGISTER_ARGUMENTS: usize = if cfg!(target_arch = "aarch64") { 8 } else { 6 };

/// The function that came with more of them: save_regs was renamed (6.12 arch/x86/net/bpf_jit_comp.c), and Arm counts
/// those on the stack (6.16 arch/arm64/net/bpf_jit_comp.c).
const MORE_ARGUMENTS: &str = if cfg!(target_arch = "aarch64") { "calc_arg_aux" } else { "save_args" };

/// MAX_BPF_FUNC_ARGS (6.12 include/linux/bpf.h): all that a trampoline takes since.
const MAX_ARGUMENTS: usize = 12;

/// A kernel known by its types and symbols.
#[derive(Clone, Copy, Debug)]
pub struct KnownKernel<'a> {
    btf: &'a Btf,
    symbols: Option<&'a Symbols>,
    layout: &'a Layout,
    /// What is missing to read page tables.
    no_walk: Option<&'a str>,
    /// What is missing to find the memory map.
    no_memory_map: Option<&'a str>,
    hidden: &'a [String],
    configuration: Option<&'a Configuration>,
    traceable: Option<&'a NameSet>,
    kprobe_blacklist: Option<&'a NameSet>,
}

impl<'a> KnownKernel<'a> {
    /// The kernel that these facts are of.
    pub fn of(facts: &'a Facts) -> Self {
        Self {
            btf: &facts.btf,
            symbols: Some(&facts.symbols).filter(|symbols| !symbols.is_empty()),
            layout: &facts.layout,
            no_walk: facts.walk.as_ref().err().map(String::as_str),
            no_memory_map: facts.memory_map.as_ref().err().map(String::as_str),
            hidden: &facts.hidden,
            configuration: facts.configuration.as_ref(),
            traceable: facts.traceable.as_ref(),
            kprobe_blacklist: facts.kprobe_blacklist.as_ref(),
        }
    }

    /// Another kernel, of which only files are at hand.
    pub fn described(btf: &'a Btf, layout: &'a Layout, symbols: Option<&'a Symbols>) -> Self {
        Self {
            btf,
            symbols,
            layout,
            no_walk: None,
            no_memory_map: None,
            hidden: &[],
            configuration: None,
            traceable: None,
            kprobe_blacklist: None,
        }
    }

    fn is_hidden(&self, name: &str) -> bool {
        self.hidden.iter().any(|hidden| hidden == name)
    }

    /// Whether the kernel was built without the function. Only symbols tell: BTF names what ftrace can hook, and
    /// kernel/trace, where kprobes and trampolines begin, is built without that (6.12 kernel/trace/Makefile).
    fn is_without(&self, name: &str) -> bool {
        self.symbols.is_some_and(|symbols| !symbols.exists(name))
    }
}

impl KernelView for KnownKernel<'_> {
    fn function(&self, name: &str) -> Option<FunctionSignature> {
        if self.is_hidden(name) { None } else { self.btf.function(name) }
    }

    fn tracepoint(&self, name: &str) -> Option<FunctionSignature> {
        if self.is_hidden(name) { None } else { self.btf.tracepoint(name) }
    }

    fn symbol(&self, name: &str) -> Presence {
        match self.symbols.map(|symbols| symbols.count(name)) {
            Some(_) if self.is_hidden(name) => Presence::Absent,
            None => Presence::Unknown,
            Some(0) => Presence::Absent,
            Some(1) => Presence::Once,
            Some(count) => Presence::Several(count),
        }
    }

    fn variants(&self, name: &str) -> Vec<String> {
        let found = self.symbols.map(|symbols| symbols.variants(name)).unwrap_or_default();
        found.into_iter().filter(|copy| !self.is_hidden(copy)).map(str::to_owned).collect()
    }

    fn is_traceable(&self, name: &str) -> Option<bool> {
        self.traceable.map(|names| names.contains(name))
    }

    fn is_blacklisted(&self, name: &str) -> Option<bool> {
        self.kprobe_blacklist.map(|names| names.contains(name))
    }

    fn config(&self, option: &str) -> Option<bool> {
        self.configuration.map(|configuration| configuration.is_set(option))
    }

    fn has_field(&self, field: &str) -> bool {
        self.layout.get(field).is_some_and(|offset| offset != OFFSET_ABSENT)
    }

    fn has_helper(&self, enumerator: &str) -> bool {
        self.btf.enumerator(enumerator).is_some()
    }

    fn no_page_tables(&self) -> Option<String> {
        if self.layout.mm_pgd == OFFSET_ABSENT {
            return Some("mm_struct.pgd is not in BTF".to_owned());
        }
        self.no_walk.map(str::to_owned)
    }

    fn no_memory_map(&self) -> Option<String> {
        if self.layout.page_size == OFFSET_ABSENT {
            return Some("sizeof(page) is not in BTF".to_owned());
        }
        self.no_memory_map.map(str::to_owned)
    }

    fn trampoline_arguments(&self) -> usize {
        // Where it was inlined, fewer are the safe answer.
        if self.btf.function(MORE_ARGUMENTS).is_some() { MAX_ARGUMENTS } else { REGISTER_ARGUMENTS }
    }

    fn no_trampolines(&self) -> Option<String> {
        // Functions that ftrace owns get a trampoline only through its direct calls
        // (6.12 kernel/bpf/trampoline.c, register_fentry).
        let missing = [
            ("register_ftrace_direct", "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS"),
            ("arch_prepare_bpf_trampoline", "CONFIG_BPF_JIT"),
        ]
        .into_iter()
        .find(|(function, _)| self.is_without(function));
        missing.map(|(_, option)| format!("this kernel has no trampolines for BPF ({option})"))
    }

    fn no_kprobes(&self) -> Option<String> {
        // What opens a kprobe for BPF (6.12 kernel/trace/trace_kprobe.c).
        self.is_without("create_local_trace_kprobe")
            .then(|| "this kernel has no kprobes (CONFIG_KPROBES, CONFIG_KPROBE_EVENTS)".to_owned())
    }
}

impl KernelView for Facts {
    fn function(&self, name: &str) -> Option<FunctionSignature> {
        KnownKernel::of(self).function(name)
    }

    fn tracepoint(&self, name: &str) -> Option<FunctionSignature> {
        KnownKernel::of(self).tracepoint(name)
    }

    fn symbol(&self, name: &str) -> Presence {
        KnownKernel::of(self).symbol(name)
    }

    fn variants(&self, name: &str) -> Vec<String> {
        KnownKernel::of(self).variants(name)
    }

    fn is_traceable(&self, name: &str) -> Option<bool> {
        KnownKernel::of(self).is_traceable(name)
    }

    fn is_blacklisted(&self, name: &str) -> Option<bool> {
        KnownKernel::of(self).is_blacklisted(name)
    }

    fn config(&self, option: &str) -> Option<bool> {
        KnownKernel::of(self).config(option)
    }

    fn has_field(&self, field: &str) -> bool {
        KnownKernel::of(self).has_field(field)
    }

    fn has_helper(&self, enumerator: &str) -> bool {
        KnownKernel::of(self).has_helper(enumerator)
    }

    fn no_page_tables(&self) -> Option<String> {
        KnownKernel::of(self).no_page_tables()
    }

    fn no_memory_map(&self) -> Option<String> {
        KnownKernel::of(self).no_memory_map()
    }

    fn trampoline_arguments(&self) -> usize {
        KnownKernel::of(self).trampoline_arguments()
    }

    fn no_trampolines(&self) -> Option<String> {
        KnownKernel::of(self).no_trampolines()
    }

    fn no_kprobes(&self) -> Option<String> {
        KnownKernel::of(self).no_kprobes()
    }
}
