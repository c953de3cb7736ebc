//! The subcommands, one a file.

mod bench;
mod build;
mod demo;
mod dist;
mod fixtures;
mod golden;
mod matrix;
mod readers;
mod setup;
mod test;
mod vm;

use anyhow::Result;
use clap::Subcommand;

/// A development task.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Install packages, tools and kernels on this Debian 12 machine; only what is missing
    Setup(setup::Options),
    /// Build rmapscope
    Build(build::Options),
    /// Build the release files in target/dist: static programs, manual pages, completions, licences, Debian packages
    Dist(dist::Options),
    /// Run a command in a guest, as root, with the freshly built rmapscope on PATH
    Vm(vm::Options),
    /// Format check, lints, unit tests, and the tests in guests
    Test(test::Options),
    /// Record the demo workload in a guest, and compare expected with recorded events
    Demo(demo::Options),
    /// Record the demo workload on many kernels, and write the results to docs/kernels.md
    Matrix(matrix::Options),
    /// Re-record the trace files for tests of reports, exports and comparisons
    Fixtures(fixtures::Options),
    /// Regenerate the expected output of tests
    Golden(golden::Options),
    /// Measure the overhead of tracing in a guest that counts instructions, compared with other tracers
    Bench(bench::Options),
    /// Measure how fast recordings are read, compared with perf and trace-cmd
    BenchReaders(readers::Options),
}

impl Task {
    /// Runs the task; the value is the exit code.
    pub fn run(&self) -> Result<u8> {
        match self {
            Self::Setup(options) => setup::run(options),
            Self::Build(options) => build::run(options),
            Self::Dist(options) => dist::run(options),
            Self::Vm(options) => vm::run(options),
            Self::Test(options) => test::run(options),
            Self::Demo(options) => demo::run(options),
            Self::Matrix(options) => matrix::run(options),
            Self::Fixtures(options) => fixtures::run(options),
            Self::Golden(options) => golden::run(options),
            Self::Bench(options) => bench::run(options),
            Self::BenchReaders(options) => readers::run(options),
        }
    }
}
