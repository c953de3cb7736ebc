//! Development tasks: setting a machine up, building, guests, tests.
//!
//! A library too, so that the guest tests boot guests in the same way. It depends on nothing that needs the
//! eBPF toolchain: `setup` has to run before there is one.
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a command-line tool: it says what it does")]

pub mod architecture;
mod archive;
pub mod cache;
pub mod command;
#[cfg(test)]
mod documents;
pub mod emulator;
pub mod guest;
pub mod kernel;
pub mod prerequisite;
pub mod process;
pub mod setup;
pub mod workspace;
