//! How a session begins: what it is asked for, and everything loaded and attached.

use std::os::fd::AsFd;
use std::time::Duration;

use aya::maps::{Map, RingBuf, StackTraceMap};
use tracer_common::copies;
use tracer_common::family::Family;
use tracer_common::globals::{Globals, MemoryMap, WalkFormat};

use super::Live;
use crate::Error;
use crate::kernel::{Facts, SystemFiles};
use crate::probe::{Plan, Request};
use crate::session::attach::{self, ObjectOptions};
use crate::session::bell::Bell;
use crate::session::buffers::Buffers;
use crate::session::clock;
use crate::session::counters::CounterReader;
use crate::session::counting::{self, CountReader, CountingOptions};
use crate::session::filters::Filters;
use crate::session::namespaces::Ids;
use crate::session::object::{self, STACKS};
use crate::session::silence::Monitor;
use crate::session::stacks::Stacks;
use crate::session::switches::Switches;
use crate::session::tally::Tally;
use crate::session::window::Window;
use crate::stat::By;

/// What a session is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Events, latency, ways to attach.
    pub request: Request,
    /// Who is watched.
    pub filters: Filters,
    /// Take kernel stacks.
    pub stacks: bool,
    /// Bytes of records in each CPU's buffer; a power of two.
    pub buffer_bytes: u32,
    /// How long at most.
    pub duration: Option<Duration>,
    /// Level of the programs' own log, 0 for none.
    pub log_level: u8,
    /// Count events instead of sending them.
    pub counting: Option<CountingOptions>,
    /// Let the kernel measure what the programs cost.
    pub overhead: bool,
}

impl Options {
    /// Count events instead of sending them, and attach what that needs.
    pub fn count(&mut self, counting: CountingOptions) {
        let question = counting.question;
        self.request.latency |= question.needs_latency();
        self.stacks |= question.by == By::Stack;
        self.request.entries_only = question.is_early() && !self.request.latency;
        self.counting = Some(counting);
    }
}

impl Live {
    /// Loads and attaches what `plan` names.
    ///
    /// # Errors
    /// When a filter is impossible or the kernel refuses the object.
    pub fn start(facts: Facts, mut plan: Plan, options: &Options) -> Result<Self, Error> {
        let mut globals = Globals::EMPTY;
        globals.layout = facts.layout;
        globals.entry = facts.entry;
        if options.request.probe_read {
            globals.memory_map = facts.memory_map.clone().unwrap_or(MemoryMap::UNKNOWN);
            globals.walk = facts.walk.clone().unwrap_or(WalkFormat::NONE);
            globals.walk.loops = u32::from(facts.has_loops());
        }
        globals.options.tracer_pid = std::process::id();
        globals.options.buffer_mask = options.buffer_bytes - 1;
        globals.options.latency = u8::from(options.request.latency);
        globals.options.visits_for_rules = u8::from(options.request.visits_for_rules);
        globals.options.copies = copies::families(facts.preempts);
        globals.options.ttu_ignore_mlock = ttu_ignore_mlock(&facts);
        globals.options.stacks = u8::from(options.stacks);
        globals.options.read_kernel = u8::from(options.request.probe_read);
        for kind in &options.request.kinds {
            globals.options.ask_for(*kind);
        }
        options.filters.write(&mut globals.options)?;
        if let Some(CountingOptions { question, .. }) = options.counting {
            question.write(&mut globals, facts.description.page_size, options.request.latency);
            counting::write(&mut globals.options)?;
        }
        clock::check()?;
        let ids = Ids::find(&facts.btf)?;
        let object = ObjectOptions { log_level: options.log_level };
        let begin = clock::now();
        // Before anything is attached: what is written from now on is noticed.
        let switches = Switches::open(&SystemFiles::live());
        let mut probes = attach::attach(&mut plan, &mut globals, &object, &options.filters, &ids, &facts)?;
        let self_test = probes.self_test.take().unwrap_or_default();
        let mut monitor = Monitor::new(self_test, switches, &plan, begin);
        let silent = monitor.look();
        let mut take = |name: &'static str| {
            probes.ebpf.take_map(name).ok_or_else(|| {
                Error::failure(
                    format!("the eBPF object has no map {name}"),
                    "build rmapscope and its object together",
                )
            })
        };
        let shape = |error: aya::maps::MapError| {
            Error::failure(
                format!("a map of the eBPF object: {error}"),
                "build rmapscope and its object together",
            )
        };
        let bell = Bell::new(RingBuf::try_from(take("BELL")?).map_err(shape)?);
        let buffers = match take("BUFFERS")? {
            Map::Array(map) => {
                Buffers::new(map.fd().as_fd(), object::cpus()?, globals.options.buffer_mask + 1)
            }
            _ => Err(std::io::Error::other("not an array")),
        };
        let buffers = buffers.map_err(|error| {
            Error::failure(
                format!("the buffers cannot be mapped into this process's memory: {error}"),
                "use a smaller --buffer, or raise the limit on address space (ulimit -v)",
            )
        })?;
        let mut counts = options
            .counting
            .map(|counting| CountReader::new(counting.question, &globals.options, &mut take))
            .transpose()?;
        // In this order: what is lost in between counts as lost.
        let before = buffers.counters();
        if let Some(counts) = &mut counts {
            counts.begin();
        }
        let window = Window::new(clock::now(), before);
        let stacks = StackTraceMap::try_from(take("STACKS")?).map_err(shape)?;
        let stacks = options.stacks.then(|| Stacks::new(stacks, STACKS));
        let mut facts = facts;
        facts.description.vmemmap_base = probes.vmemmap_base;
        Ok(Self {
            facts,
            plan,
            probes,
            buffers,
            bell,
            meter: CounterReader::new(begin),
            window,
            unseen_before: [0; Family::COUNT],
            stacks,
            counts,
            counting: options.counting,
            overhead: options.overhead,
            costs: None,
            tally: Tally::new(),
            monitor,
            silent,
            begin,
            duration: options.duration,
            names_tasks: options.filters.name_tasks(),
            ids,
            log: options.log_level > 0,
        })
    }
}

/// The kernel's value of TTU_IGNORE_MLOCK; 0 when unknown.
fn ttu_ignore_mlock(facts: &Facts) -> u32 {
    let flags = facts.btf.enumeration("ttu_flags");
    flags.iter().find(|flag| flag.name == "TTU_IGNORE_MLOCK").map_or(0, |flag| flag.value as u32)
}
