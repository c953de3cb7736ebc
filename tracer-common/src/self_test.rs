//! Ways to attach a program, as the self-test counts them.

/// A way to attach. Its number is the place of its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Way {
    /// At a function's entry, through a trampoline.
    Fentry = 0,
    /// At its return, through a trampoline.
    Fexit = 1,
    /// At its entry, through a breakpoint or ftrace.
    Kprobe = 2,
    /// At the return of a function with a kprobe.
    Kretprobe = 3,
    /// A tracepoint whose arguments have BTF types.
    BtfTracepoint = 4,
    /// A tracepoint whose arguments are plain numbers.
    RawTracepoint = 5,
}

impl Way {
    /// Number of ways; sizes the counters.
    pub const COUNT: usize = 6;
}
