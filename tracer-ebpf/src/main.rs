//! rmapscope's eBPF programs.
//!
//! One object holds every program; user space loads those that its plan names. A program is called
//! `{method}_{point}`, for example `fexit_try_to_unmap` (see [`programs`]). They read values in the kernel,
//! filter, and send records; whatever user space can do is done there.
//!
//! * [`context`]: arguments and results, the same for every way to attach;
//! * [`memory`]: reads through BTF-typed pointers or `bpf_probe_read_kernel`;
//! * [`copies`]: copies of programs, which run where the kernel skips one;
//! * [`watched`], [`filter`]: the processes and threads that are watched, and what else decides it;
//! * [`questions`]: what user space asks of its own namespaces;
//! * [`pairing`]: which end belongs to which beginning;
//! * [`buffer`], [`emit`]: what the programs count, and records on their way to user space;
//! * [`counting`]: events that are added to tables instead of sent;
//! * [`page`], [`entry`], [`table`]: state of a page, raw page-table entries, page tables;
//! * [`spaces`]: the address spaces with exclusive pages;
//! * [`probes`]: one file a family;
//! * [`self_test`]: programs that only tell whether their kind runs.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![feature(macro_metavar_expr_concat)]

mod buffer;
mod calibrate;
mod call;
mod context;
mod copies;
mod counting;
mod emit;
mod entry;
mod filter;
mod globals;
mod memory;
mod page;
mod pairing;
mod probes;
mod programs;
mod questions;
mod self_test;
mod skipped;
mod spaces;
mod table;
mod watched;

/// The kernel gives GPL-only helpers (probe reads, stacks) to programs that say they are compatible.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // Never reached: a program in which a panic can be reached does not load.
    loop {}
}
