//! From a plan to attached programs, with the plan's second choices where the kernel refuses the first.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use aya::Ebpf;
use aya::programs::kprobe::KProbeLinkId;
use aya::programs::links::FdLink;
use aya::programs::{Program as Loaded, ProgramError};
use tracer_common::copies;
use tracer_common::family::Family;
use tracer_common::globals::Globals;
use tracer_common::point::Point;

use super::filters::Filters;
use super::namespaces::Ids;
use super::self_test::SelfTest;
use super::targets::Targets;
use super::{calibrate, gaps, missed, object};
use crate::kernel::Facts;
use crate::overhead::ProgramCost;
use crate::probe::{FallBack, Plan, Program, ProgramKind};
use crate::{Error, open_files};

/// Programs of a session, attached until they are dropped.
pub struct Probes {
    /// The object: its maps live as long as this.
    pub ebpf: Ebpf,
    /// Address of the `struct page` of pfn 0, as the kernel said.
    pub vmemmap_base: Option<u64>,
    /// Tells whether the attached programs can fire, until it is taken.
    pub self_test: Option<SelfTest>,
    links: Vec<Link>,
    /// Hits of kprobes that the kernel skips are read from its memory: it counts them there, and shows them of links only
    /// since 6.7.
    reads_skipped: bool,
    /// The families whose programs are attached with their copies ([`copies::families`]).
    copies: u32,
}

/// One attached kprobe or kretprobe; the trampolines' links stay in `ebpf`.
struct Link {
    family: Family,
    /// Detaches when it is dropped.
    _link: FdLink,
    /// The same link once more, to ask the kernel about it.
    fd: Option<OwnedFd>,
}

/// How the object is to be made.
pub struct ObjectOptions {
    /// Level of the programs' own log, 0 for none.
    pub log_level: u8,
}

/// Loads and attaches what the plan names. Points that the kernel refuses stay in the plan with the reason.
///
/// # Errors
/// When the object's maps cannot be made, or a task or cgroup cannot be found in the kernel, which no second choice helps.
pub fn attach(
    plan: &mut Plan,
    globals: &mut Globals,
    options: &ObjectOptions,
    filters: &Filters,
    ids: &Ids,
    facts: &Facts,
) -> Result<Probes, Error> {
    let mut targets = Targets::of(facts, plan);
    let cpus = object::cpus()?;
    loop {
        plan.write_arguments(globals);
        let ebpf = match object::load(globals, cpus, options.log_level, &wanted(plan, globals.options.copies))
        {
            Err(error) if globals.options.buffer_mask >= LARGEST_OLD && is_too_large(&error) => {
                globals.options.buffer_mask = LARGEST_OLD - 1;
                continue;
            }
            result => result.map_err(|error| object_error(&error, cpus, globals.options.buffer_mask + 1))?,
        };
        let copies = globals.options.copies;
        let mut probes = Probes {
            ebpf,
            vmemmap_base: None,
            self_test: None,
            links: Vec::new(),
            reads_skipped: false,
            copies,
        };
        if filters.settle(&mut probes.ebpf, ids, &mut globals.options)? {
            continue;
        }
        probes.vmemmap_base = calibrate::run(&mut probes.ebpf);
        if probes.vmemmap_base.is_none() && globals.options.read_kernel != 0 && globals.memory_map.is_known()
        {
            plan.without_pages("the start of the kernel's memory map cannot be found in its memory");
        }
        if attach_points(&mut probes, plan, &mut targets)? == Done::Attached {
            // Where it is not loaded, those hits go uncounted, which rules know of such a kernel.
            probes.reads_skipped = !facts.description.counts_skipped_kprobes
                && !probes.links.is_empty()
                && missed::prepare(&mut probes.ebpf).is_ok();
            probes.self_test = Some(SelfTest::attach(&mut probes.ebpf, plan, &mut targets));
            if filters.name_tasks() {
                sees_forks(plan)?;
                filters.watch(&mut probes.ebpf, ids)?;
            }
            return Ok(probes);
        }
    }
}

/// A program with the copies that are attached of it, in that order; `copies` are the families that have any.
fn instances(copies: u32, point: Point, program: &Program) -> Vec<Program> {
    if copies::have(copies, point.family()) { program.with_copies() } else { vec![program.clone()] }
}

/// Names of the plan's programs, and of the copies that are attached of them.
fn wanted(plan: &Plan, copies: u32) -> HashSet<String> {
    let programs = plan.programs().flat_map(|(point, program)| instances(copies, point, &program));
    programs.map(|program| program.name).collect()
}

/// The largest buffer of a CPU where values of a map are no larger than what kmalloc() gives, 4 MiB (5.15
/// kernel/bpf/arraymap.c, array_map_alloc_check).
const LARGEST_OLD: u32 = 2 << 20;

/// Whether the kernel makes no values of such a size.
fn is_too_large(error: &aya::EbpfError) -> bool {
    let aya::EbpfError::MapError(aya::maps::MapError::CreateError { name, io_error }) = error else {
        return false;
    };
    name == "BUFFERS" && io_error.raw_os_error() == Some(libc::E2BIG)
}

/// Tasks can be named only where forks are seen: children would be missing, and an id with a new owner would stay
/// watched.
fn sees_forks(plan: &Plan) -> Result<(), Error> {
    let report = &plan.point(Point::ProcessFork).report;
    if report.outcome.is_attached() {
        return Ok(());
    }
    Err(Error::prerequisite(
        format!(
            "processes and threads cannot be watched on this kernel: {}: {}",
            report.point,
            gaps::reason(&report.outcome)
        ),
        "trace the whole system (-a), or by name (-n)",
    ))
}

/// What one pass over the points came to.
#[derive(PartialEq, Eq)]
enum Done {
    Attached,
    /// A second choice has its arguments elsewhere, which only a new object can be told.
    Reload,
}

fn attach_points(probes: &mut Probes, plan: &mut Plan, targets: &mut Targets<'_>) -> Result<Done, Error> {
    for point in Point::ALL.iter().copied() {
        while let Some(candidate) = plan.point(point).candidate.clone() {
            let Err(refusal) = probes.attach_all(point, &candidate.programs(point), targets) else { break };
            // Nothing else could be attached either, and a session without most of its probes is none.
            if let Some(remedy) = open_files::remedy_of(refusal.errno) {
                let cause = format!("no file descriptor is left for the probes: {}", refusal.reason);
                return Err(Error::prerequisite(cause, remedy));
            }
            match plan.fall_back(point, refusal.errno, &refusal.reason) {
                // The programs were told that it is there.
                FallBack::Exhausted if point == Point::MlockFolio => return Ok(Done::Reload),
                FallBack::Next { reload: false } | FallBack::Exhausted => {}
                FallBack::Next { reload: true } => return Ok(Done::Reload),
            }
        }
    }
    Ok(Done::Attached)
}

/// Why the kernel did not take a program.
struct Refusal {
    errno: i32,
    reason: String,
}

impl Probes {
    /// Attaches all programs of a point, or none.
    fn attach_all(
        &mut self,
        point: Point,
        programs: &[Program],
        targets: &mut Targets<'_>,
    ) -> Result<(), Refusal> {
        let links = self.links.len();
        let programs: Vec<Program> =
            programs.iter().flat_map(|program| instances(self.copies, point, program)).collect();
        for (index, program) in programs.iter().enumerate() {
            if let Err(error) = self.attach_one(point, program, targets) {
                self.links.truncate(links);
                for started in &programs[..=index] {
                    self.unload(started);
                }
                return Err(refusal(program, &error));
            }
        }
        Ok(())
    }

    fn attach_one(
        &mut self,
        point: Point,
        program: &Program,
        targets: &mut Targets<'_>,
    ) -> Result<(), ProgramError> {
        let loaded = self.ebpf.program_mut(&program.name).ok_or(ProgramError::NotLoaded)?;
        let id = attach_to(loaded, program.kind, &program.target, targets)?;
        let (Some(id), Loaded::KProbe(kprobe)) = (id, loaded) else { return Ok(()) };
        let link = kprobe.take_link(id)?;
        // Before 5.15 a kprobe has no link of its own, and detaches with its program.
        if let Ok(link) = FdLink::try_from(link) {
            let fd = match link.info() {
                Ok(info) => missed::link(info.id())?,
                Err(_) => None,
            };
            self.links.push(Link { family: point.family(), _link: link, fd });
        }
        Ok(())
    }

    fn unload(&mut self, program: &Program) {
        // A program that never got as far as the kernel has nothing to unload.
        let _ = match self.ebpf.program_mut(&program.name) {
            Some(Loaded::FEntry(program)) => program.unload(),
            Some(Loaded::FExit(program)) => program.unload(),
            Some(Loaded::BtfTracePoint(program)) => program.unload(),
            Some(Loaded::RawTracePoint(program)) => program.unload(),
            Some(Loaded::KProbe(program)) => program.unload(),
            _ => Ok(()),
        };
    }

    /// Runs that the kernel skipped, by family. Skips of copies are none: they count what they do themselves.
    pub fn skipped(&self, plan: &Plan) -> [u64; Family::COUNT] {
        let mut missed = [0; Family::COUNT];
        for (point, program) in plan.programs() {
            missed[point.family() as usize] += self.missed_by(&program);
        }
        for Link { family, fd, .. } in &self.links {
            let Some(fd) = fd.as_ref().map(AsFd::as_fd) else { continue };
            missed[*family as usize] +=
                if self.reads_skipped { missed::by_kprobe(&self.ebpf, fd) } else { missed::by_link(fd) };
        }
        missed
    }

    /// New processes that the kernel skipped the program for: unless a copy of it saw them, nobody knows whether they
    /// were to be watched.
    pub fn skipped_forks(&self, plan: &Plan) -> u64 {
        let forks = plan.programs().filter(|(point, _)| *point == Point::ProcessFork);
        forks.map(|(_, program)| self.missed_by(&program)).sum()
    }

    /// What each program has cost since it was loaded.
    pub fn costs(&self, plan: &Plan) -> Vec<ProgramCost> {
        let cost = |program: &Program| {
            let fd = self.ebpf.program(&program.name).and_then(|program| program.fd().ok());
            fd.map_or((0, 0), |fd| missed::cost(fd.as_fd()))
        };
        let of_program = |(point, program): (Point, Program)| {
            let instances = instances(self.copies, point, &program);
            let (time, runs) =
                instances.iter().map(cost).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            ProgramCost { name: program.name, point, runs, time }
        };
        plan.programs().map(of_program).collect()
    }

    fn missed_by(&self, program: &Program) -> u64 {
        let fd = self.ebpf.program(&program.name).and_then(|program| program.fd().ok());
        fd.map_or(0, |fd| missed::by_program(fd.as_fd()))
    }

    /// Detaches everything; the maps stay. Each kprobe waits for the kernel's grace periods, so they go side
    /// by side.
    pub fn detach(&mut self, plan: &Plan) {
        let links = std::mem::take(&mut self.links);
        let mut shares: Vec<Vec<Link>> = (0..8).map(|_| Vec::new()).collect();
        for (index, link) in links.into_iter().enumerate() {
            shares[index % 8].push(link);
        }
        std::thread::scope(|scope| {
            for share in shares.into_iter().filter(|share| !share.is_empty()) {
                scope.spawn(move || drop(share));
            }
        });
        let programs: Vec<Program> =
            plan.programs().flat_map(|(point, program)| instances(self.copies, point, &program)).collect();
        for program in &programs {
            self.unload(program);
        }
    }
}

/// Loads a program and attaches it. The link stays with the program; that of a kprobe may be taken from it.
pub(super) fn attach_to(
    program: &mut Loaded,
    kind: ProgramKind,
    target: &str,
    targets: &mut Targets<'_>,
) -> Result<Option<KProbeLinkId>, ProgramError> {
    match program {
        Loaded::FEntry(program) => {
            program.load(target, targets.with(kind, target)?)?;
            program.attach()?;
        }
        Loaded::FExit(program) => {
            program.load(target, targets.with(kind, target)?)?;
            program.attach()?;
        }
        Loaded::BtfTracePoint(program) => {
            program.load(target, targets.with(kind, target)?)?;
            program.attach()?;
        }
        Loaded::RawTracePoint(program) => {
            program.load()?;
            program.attach(target)?;
        }
        Loaded::KProbe(program) => {
            program.load()?;
            return program.attach(target, 0).map(Some);
        }
        _ => return Err(ProgramError::UnexpectedProgramType),
    }
    Ok(None)
}

fn refusal(program: &Program, error: &ProgramError) -> Refusal {
    let (what, errno, detail) = match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            let log = verifier_log.to_string();
            // The verifier ends with its statistics; the complaint is the last line before them.
            let complaint = log.lines().rev().find(|line| {
                !["processed ", "verification time", "stack depth", "subprog "]
                    .iter()
                    .any(|s| line.starts_with(s))
            });
            ("load", io_error.raw_os_error().unwrap_or(0), complaint.unwrap_or_default().trim().to_owned())
        }
        ProgramError::SyscallError(error) => {
            (error.call, error.io_error.raw_os_error().unwrap_or(0), String::new())
        }
        other => ("attach", exhaustion(other).unwrap_or(0), format!("{other:#}")),
    };
    let meaning = meaning(errno);
    let detail =
        [meaning, detail].iter().filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>().join("; ");
    Refusal { errno, reason: format!("{}: {what} refused: {detail}", program.name) }
}

/// What the kernel means by an errno of a load or an attach.
fn meaning(errno: i32) -> String {
    match errno {
        0 => String::new(),
        libc::ENOENT => "no such symbol".to_owned(),
        libc::EADDRNOTAVAIL => "several symbols of that name".to_owned(),
        libc::EPERM => "not permitted (capability, or lockdown)".to_owned(),
        libc::EACCES => "refused by the verifier or by kernel.perf_event_paranoid".to_owned(),
        libc::EBUSY => "ftrace cannot hook the function, or another tracer holds it".to_owned(),
        errno => io::Error::from_raw_os_error(errno).to_string(),
    }
}

/// The errno of an error that comes from a lack of descriptors, wherever in the chain of its sources.
fn exhaustion(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    let mut sources = std::iter::successors(Some(error), |error| error.source());
    sources.find_map(|error| {
        let errno = error.downcast_ref::<io::Error>()?.raw_os_error()?;
        open_files::remedy_of(errno).map(|_| errno)
    })
}

/// An error without the kernel's log, which has a line for each type of the object.
fn without_log(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    let (cause, _) = line.split_once("Verifier output:").unwrap_or((line, ""));
    cause.trim_end_matches([' ', '.']).to_owned()
}

/// Why the object could not be made at all.
fn object_error(error: &aya::EbpfError, cpus: u32, buffer_bytes: u32) -> Error {
    if let Some(remedy) = exhaustion(error).and_then(open_files::remedy_of) {
        let cause = format!("no file descriptor is left for the eBPF object: {}", without_log(error));
        return Error::prerequisite(cause, remedy);
    }
    let aya::EbpfError::MapError(aya::maps::MapError::CreateError { name, io_error }) = error else {
        return Error::prerequisite(
            format!("the eBPF object cannot be loaded: {}", without_log(error)),
            "see `rmapscope doctor`",
        );
    };
    match io_error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => Error::prerequisite(
            "not permitted to make eBPF maps",
            "run as root, or with CAP_BPF and CAP_PERFMON; see `rmapscope doctor`",
        ),
        Some(libc::ENOMEM | libc::E2BIG | libc::EINVAL) if name == "BUFFERS" => Error::failure(
            format!("the kernel has no room for {cpus} rings of {} KiB: {io_error}", buffer_bytes >> 10),
            "use a smaller --buffer",
        ),
        _ => Error::prerequisite(
            format!("the kernel refuses the eBPF map {name}: {io_error}"),
            "see `rmapscope doctor`; before 5.11 also `ulimit -l`",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_log_is_no_part_of_a_message() {
        let error = "BTF error: the BPF_BTF_LOAD syscall returned Too many open files (os error 24). Verifier \
                     output: magic: 0xeb9f\nversion: 1\n[1] PTR";
        assert_eq!(
            without_log(&error),
            "BTF error: the BPF_BTF_LOAD syscall returned Too many open files (os error 24)"
        );
        assert_eq!(without_log(&"one\ntwo"), "one");
    }
}
