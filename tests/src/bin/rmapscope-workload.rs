//! Work for the kernel whose number of events is known beforehand.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rmapscope_tests::workload::{
    AttachTarget, BlockIo, Children, Cost, Demo, DeviceMemory, DeviceRefused, Exclusive, ExclusiveObstacle,
    ExclusiveShared, Facts, Fork, GpuClients, Huge, LockedFork, Marked, Mlock, MovePages, OpenFiles, Pageout,
    Ring, SharedLock, Stress, Tasks, WideMapping, pin_to_current_cpu,
};

/// Do an exactly known number of kernel operations and say which, one JSON object a line
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Append the facts to this file instead of writing them to standard output
    #[arg(long, global = true)]
    facts: Option<PathBuf>,
    /// Label of the facts, instead of the name of the workload
    #[arg(long, global = true)]
    label: Option<String>,
    #[command(subcommand)]
    workload: Workload,
}

#[derive(Debug, Subcommand)]
enum Workload {
    Pageout(Pageout),
    Cost(Cost),
    Exclusive(Exclusive),
    ExclusiveShared(ExclusiveShared),
    ExclusiveObstacle(ExclusiveObstacle),
    LockedFork(LockedFork),
    Migrate(MovePages),
    OpenFiles(OpenFiles),
    WideMapping(WideMapping),
    HmmMigrate(DeviceMemory),
    HmmRefused(DeviceRefused),
    Marked(Marked),
    Mlock(Mlock),
    SharedLock(SharedLock),
    #[command(subcommand)]
    Huge(Huge),
    Fork(Fork),
    GpuClients(GpuClients),
    SwiotlbIo(BlockIo),
    Children(Children),
    SleepLoop(AttachTarget),
    Stress(Stress),
    Ring(Ring),
    Tasks(Tasks),
    Demo(Demo),
}

impl Workload {
    const fn name(&self) -> &'static str {
        match self {
            Self::Pageout(_) => "pageout",
            Self::Cost(_) => "cost",
            Self::Exclusive(_) => "exclusive",
            Self::ExclusiveShared(_) => "exclusive-shared",
            Self::ExclusiveObstacle(_) => "exclusive-obstacle",
            Self::LockedFork(_) => "locked-fork",
            Self::Migrate(_) => "migrate",
            Self::OpenFiles(_) => "open-files",
            Self::WideMapping(_) => "wide-mapping",
            Self::HmmMigrate(_) => "hmm-migrate",
            Self::HmmRefused(_) => "hmm-refused",
            Self::Marked(_) => "marked",
            Self::Mlock(_) => "mlock",
            Self::SharedLock(_) => "shared-lock",
            Self::Huge(_) => "huge",
            Self::Fork(_) => "fork",
            Self::GpuClients(_) => "gpu-clients",
            Self::SwiotlbIo(_) => "swiotlb-io",
            Self::Children(_) => "children",
            Self::SleepLoop(_) => "sleep-loop",
            Self::Stress(_) => "stress",
            Self::Ring(_) => "ring",
            Self::Tasks(_) => "tasks",
            Self::Demo(_) => "demo",
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let path = arguments.facts.as_ref();
    let label = arguments.label.as_deref().unwrap_or(arguments.workload.name());
    let facts = &mut Facts::open(label, path.map(PathBuf::as_path))?;
    if !matches!(arguments.workload, Workload::Stress(_)) {
        pin_to_current_cpu()?;
    }
    match &arguments.workload {
        Workload::Pageout(workload) => workload.run(facts),
        Workload::Cost(workload) => workload.run(),
        Workload::Exclusive(workload) => workload.run(facts),
        Workload::ExclusiveShared(workload) => workload.run(facts),
        Workload::ExclusiveObstacle(workload) => workload.run(facts),
        Workload::LockedFork(workload) => workload.run(facts),
        Workload::Migrate(workload) => workload.run(facts),
        Workload::OpenFiles(workload) => workload.run(),
        Workload::WideMapping(workload) => workload.run(facts),
        Workload::HmmMigrate(workload) => workload.run(facts),
        Workload::HmmRefused(workload) => workload.run(facts),
        Workload::Marked(workload) => workload.run(facts),
        Workload::Mlock(workload) => workload.run(facts),
        Workload::SharedLock(workload) => workload.run(facts),
        Workload::Huge(workload) => workload.run(facts),
        Workload::Fork(workload) => workload.run(facts),
        Workload::GpuClients(workload) => workload.run(facts),
        Workload::SwiotlbIo(workload) => workload.run(facts),
        Workload::Children(workload) => workload.run(facts, path),
        Workload::SleepLoop(workload) => workload.run(facts),
        Workload::Stress(workload) => workload.run(facts),
        Workload::Ring(workload) => workload.run(facts),
        Workload::Tasks(workload) => workload.run(facts, path),
        Workload::Demo(workload) => workload.run(facts, path.map(PathBuf::as_path)),
    }
}

#[expect(clippy::print_stderr, reason = "the one place that reports the error")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rmapscope-workload {}: {error:#}", arguments.workload.name());
            ExitCode::FAILURE
        }
    }
}
