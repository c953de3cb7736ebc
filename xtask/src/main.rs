//! `cargo xtask`: development tasks.
#![allow(clippy::print_stderr, reason = "a command-line tool: it says what it does")]

use std::process::ExitCode;

use clap::Parser;
use xtask::command::Task;
use xtask::prerequisite::Missing;

/// Development tasks of rmapscope
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

fn main() -> ExitCode {
    match Arguments::parse().task.run() {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(if error.is::<Missing>() { 4 } else { 2 })
        }
    }
}
