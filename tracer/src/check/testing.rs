//! Made-up streams for the tests of rules and diagnoses.

use std::collections::BTreeMap;

use tracer_common::event::{
    CopyPageRange, Kind, RESULT_UNKNOWN, RestoreExclusive, STACK_NONE, SwiotlbMap, SwiotlbMapSingle,
    SwiotlbUnmapSingle, UNCOUNTED, UNKNOWN,
};
use tracer_common::event::{ExclusivePage, FolioWalk, VmaVisit};
use tracer_common::family::Family;

use super::{Checker, Diagnosis, Options, Outcome, RuleVerdict, Verdict};
use crate::event::{
    Body, Event, Frame, Header, Item, Loss, LossCause, ProcessEntry, Silence, StackEntry, Summary, synthetic,
};
use crate::kernel::PresentEntryFormat;
use crate::probe::{AttachMethod, Outcome as PointOutcome, PointReport};
use crate::trace_file::FileHeader;

pub const PFN: u64 = 0x12345;
pub const PAGE: u64 = page_of(PFN);
pub const MM: u64 = 0xffff_8880_0401_2000;
pub const ADDRESS: u64 = 0x7f12_3456_7000;
pub const DEVICE: u64 = 0xffff_8880_0200_10c8;
pub const POOL: u64 = 0xffff_ffff_8300_4000;
pub const POOL_START: u64 = 0x7c00_0000;
pub const POOL_END: u64 = 0x8000_0000;
/// VM_READ, VM_WRITE, VM_MAYREAD, VM_MAYWRITE, VM_ACCOUNT.
pub const VM_FLAGS: u64 = 0x10_0033;
pub const VM_LOCKED: u64 = 0x2000;
pub const LOCKED: u64 = 1;
pub const HEAD: u64 = 1 << 6;
pub const MLOCKED: u64 = 1 << 19;
/// PG_uptodate, PG_swapbacked.
pub const UNLOCKED: u64 = 1 << 3 | 1 << 17;
/// The same and PG_locked.
pub const FLAGS: u64 = UNLOCKED | LOCKED;
pub const SOFT_DIRTY: u64 = 2;
pub const UFFD_WP: u64 = 4;
/// Bits of a present entry.
pub const PRESENT_WRITABLE: u64 = 2;
pub const PRESENT_UFFD_WP: u64 = 0x400;
pub const PRESENT_SOFT_DIRTY: u64 = 0x800;
/// Times are this much apart.
pub const STEP: u64 = 1000;
const START: u64 = 1_000_000_000_000;

pub const fn page_of(pfn: u64) -> u64 {
    0xffff_ea00_0000_0000 + pfn * 64
}

/// A raw exclusive entry of that page: writable, or read-only.
pub const fn exclusive_entry(pfn: u64, writable: bool) -> u64 {
    let number: u64 = if writable { 29 } else { 30 };
    number << 59 | (!pfn << 14) >> 5 & !0x1ff
}

/// A raw entry that maps that page, accessed and of user space.
pub const fn present_entry(pfn: u64) -> u64 {
    pfn << 12 | 0x25
}

/// A raw entry of a page in a swap file.
pub const fn swapped_entry() -> u64 {
    (!7 << 14) >> 5 & !0x1ff
}

pub fn exclusive_page() -> ExclusivePage {
    ExclusivePage {
        mm: MM,
        address: ADDRESS,
        page: PAGE,
        flags: FLAGS,
        mapping_bits: 1,
        mapcount: 0,
        refcount: 2,
        reserved: 0,
    }
}

pub fn restore() -> RestoreExclusive {
    RestoreExclusive {
        mm: MM,
        address: ADDRESS,
        page: PAGE,
        flags: FLAGS,
        vm_flags: VM_FLAGS,
        old_entry: exclusive_entry(PFN, true),
        new_entry: present_entry(PFN) | PRESENT_WRITABLE,
        mapcount: 1,
        in_fork: 0,
        mlocks: 0,
        reserved: 0,
        duration: 0,
    }
}

pub fn walk(flags: u64, ttu_flags: u32) -> FolioWalk {
    FolioWalk { page: PAGE, flags, mapcount: 0, ttu_flags, duration: 0 }
}

pub fn visit() -> VmaVisit {
    VmaVisit {
        page: PAGE,
        flags: FLAGS,
        mm: MM,
        address: ADDRESS,
        vm_flags: VM_FLAGS,
        ttu_flags: 0x40,
        result: 1,
        mapcount: 1,
        reserved: 0,
        entry_before: UNKNOWN,
        entry_after: UNKNOWN,
        duration: 0,
    }
}

pub fn copy() -> CopyPageRange {
    CopyPageRange {
        source_mm: MM,
        destination_mm: MM + 0x1000,
        source_vma: MM + 0x100,
        destination_vma: MM + 0x200,
        start: ADDRESS,
        end: ADDRESS + 0x8000,
        vm_flags: VM_FLAGS,
        result: 0,
        inner_result: RESULT_UNKNOWN,
        restored: 0,
        exclusive_left: UNCOUNTED,
        exclusive_copied: UNCOUNTED,
        compared: UNCOUNTED,
        taken: 0,
        unscanned: 0,
        first_left: 0,
        first_left_flags: UNKNOWN,
        first_copied: 0,
        first_taken: 0,
        duration: 0,
    }
}

/// A buffer of one page that is handed out at that offset in the pool.
pub fn map(offset: u64) -> SwiotlbMapSingle {
    SwiotlbMapSingle {
        device: DEVICE,
        pool: POOL,
        pool_start: POOL_START,
        pool_end: POOL_END,
        original: 0x1000_0000 + offset,
        bounce: POOL_START + offset,
        size: 4096,
        alloc_size: UNKNOWN,
        attributes: 0,
        direction: 1,
        pool_bits: 0,
        used_slots: UNKNOWN,
        align_mask: 0,
        reserved: 0,
        duration: 0,
    }
}

/// What `swiotlb_map` says of that buffer.
pub fn answer(offset: u64) -> SwiotlbMap {
    SwiotlbMap {
        device: DEVICE,
        original: 0x1000_0000 + offset,
        size: 4096,
        dma_address: POOL_START + offset,
        attributes: 0,
        direction: 1,
        reserved: 0,
        duration: 0,
    }
}

/// The unmap of that buffer.
pub fn unmap(offset: u64) -> SwiotlbUnmapSingle {
    SwiotlbUnmapSingle {
        device: DEVICE,
        pool: POOL,
        bounce: POOL_START + offset,
        size: 4096,
        slot_original: 0x1000_0000 + offset,
        slot_size: 4096,
        attributes: 0x20,
        direction: 1,
        reserved: 0,
    }
}

fn attached(point: &str, events: &[Kind]) -> PointReport {
    PointReport {
        point: point.to_owned(),
        family: events[0].family().name().to_owned(),
        events: events.iter().map(|kind| kind.name().to_owned()).collect(),
        outcome: PointOutcome::Attached { symbol: point.to_owned(), method: AttachMethod::Fentry },
        attempts: Vec::new(),
    }
}

/// A session: the whole system, every event attached, a kernel like 6.12.
#[derive(Clone)]
pub struct Session {
    header: FileHeader,
    items: Vec<Item>,
    pub options: Options,
    summary: Option<Summary>,
    time: u64,
    tid: u32,
    stack: i32,
}

impl Session {
    pub fn new() -> Self {
        let mut header = FileHeader::new(synthetic::description());
        if let Some(format) = &mut header.kernel.entry_format {
            format.present = Some(PresentEntryFormat {
                pfn_mask: 0x000f_ffff_ffff_f000,
                high_mask: 0,
                high_shift: 0,
                inverted_without: 1,
                writable_mask: PRESENT_WRITABLE,
                soft_dirty_mask: PRESENT_SOFT_DIRTY,
                uffd_wp_mask: PRESENT_UFFD_WP,
            });
        }
        header.probes =
            vec![attached("make_device_exclusive_range", &[Kind::ExclusivePage, Kind::MakeDeviceExclusive])];
        let others =
            Kind::ALL.iter().filter(|kind| !matches!(kind, Kind::ExclusivePage | Kind::MakeDeviceExclusive));
        header.probes.extend(others.map(|kind| attached(kind.name(), &[*kind])));
        let process = ProcessEntry { pid: 812, tid: 812, parent: 1, comm: "hmm-tests".to_owned() };
        let frame = Frame { address: 1, symbol: Some("dmirror_ioctl".to_owned()), offset: 2, module: None };
        Self {
            header,
            items: vec![Item::Process(process), Item::Stack(StackEntry { id: 5, frames: vec![frame] })],
            options: Options::default(),
            summary: Some(Summary::default()),
            time: START,
            tid: 812,
            stack: STACK_NONE,
        }
    }

    /// With that header's field changed.
    pub fn header(mut self, change: impl FnOnce(&mut FileHeader)) -> Self {
        change(&mut self.header);
        self
    }

    /// What became of the point of that event.
    pub fn point(self, kind: Kind, outcome: PointOutcome) -> Self {
        self.header(|header| {
            for report in &mut header.probes {
                if report.makes(kind) {
                    report.outcome = outcome.clone();
                }
            }
        })
    }

    /// Without the probe of that event, though the kernel does what it would tell.
    pub fn without(self, kind: Kind) -> Self {
        self.point(kind, PointOutcome::Absent { reason: "its symbol is missing".into(), impossible: false })
    }

    /// On a kernel that cannot do that.
    pub fn impossible(self, kind: Kind) -> Self {
        self.point(kind, PointOutcome::Absent { reason: "CONFIG_X is not set".into(), impossible: true })
    }

    /// Of one process only.
    pub fn filtered(self) -> Self {
        self.header(|header| header.options.pid = vec![812])
    }

    /// As 6.15 makes pages exclusive.
    pub fn single(self) -> Self {
        self.header(|header| header.probes[0].point = "make_device_exclusive".to_owned())
    }

    /// The next events are that thread's.
    pub fn tid(mut self, tid: u32) -> Self {
        self.tid = tid;
        self
    }

    /// The next events have the session's stack.
    pub fn with_stack(mut self) -> Self {
        self.stack = 5;
        self
    }

    /// Time passes.
    pub fn pause(mut self, nanoseconds: u64) -> Self {
        self.time += nanoseconds;
        self
    }

    pub fn event(mut self, body: Body) -> Self {
        self.time += STEP;
        let Self { time, tid, stack, .. } = self;
        let header = Header { time, tid, pid: tid, kind: body.kind() as u16, cpu: 0, stack };
        self.items.push(Item::Event(Event { header, body }));
        self
    }

    pub fn events(self, bodies: impl IntoIterator<Item = Body>) -> Self {
        bodies.into_iter().fold(self, Self::event)
    }

    /// Events of the family were lost since the last event.
    pub fn loss(mut self, family: Option<Family>) -> Self {
        let (family, time) = (family.map(|family| family as u8), self.time);
        let loss =
            Loss { cause: LossCause::Lost, family, count: 3, after: time, before: time + STEP, kind: None };
        self.time += STEP;
        self.items.push(Item::Loss(loss));
        self
    }

    /// The file has events of a kind with that name and number of its family, which this version does not know.
    pub fn unknown(mut self, kind: &str, family: u8) -> Self {
        let (cause, time, kind) = (LossCause::Dropped, self.time, Some(kind.into()));
        let loss = Loss { cause, family: Some(family), count: 3, after: time, before: time + STEP, kind };
        self.time += STEP;
        self.items.push(Item::Loss(loss));
        self
    }

    /// The kernel skipped programs of the family at some time: known at the end.
    pub fn missed(mut self, family: Family) -> Self {
        let loss = Loss {
            cause: LossCause::Missed,
            family: Some(family as u8),
            count: 1,
            after: START,
            before: self.time + STEP,
            kind: None,
        };
        self.items.push(Item::Loss(loss));
        self
    }

    /// The points of these events could not fire for a time.
    pub fn silenced(mut self, kinds: &[Kind]) -> Self {
        let silent = |report: &&PointReport| report.kinds().any(|kind| kinds.contains(&kind));
        let points = self.header.probes.iter().filter(silent).map(|report| report.point.clone()).collect();
        let silence = Silence {
            reason: "kernel.ftrace_enabled was 0".to_owned(),
            remedy: "sysctl kernel.ftrace_enabled=1".to_owned(),
            points,
            times: 1,
            after: START,
            before: self.time,
        };
        self.summary.get_or_insert_default().silenced.push(silence);
        self
    }

    /// So often was that point hit.
    pub fn hits(mut self, point: &str, hits: u64) -> Self {
        self.summary.get_or_insert_default().watched_hits.insert(point.to_owned(), hits);
        self
    }

    /// The session has no end.
    pub fn cut(mut self) -> Self {
        self.summary = None;
        self
    }

    pub fn verdict(&self) -> Verdict {
        let mut checker = Checker::new(&self.header, self.options.clone());
        let mut fast = Checker::new(&self.header, self.options.clone());
        for item in &self.items {
            checker.item(item);
            match item {
                Item::Event(event) => fast.record(&[event.header.bytes(), event.body.bytes()].concat()),
                other => {
                    fast.item(other);
                }
            }
        }
        if let Some(summary) = &self.summary {
            let mut events = BTreeMap::new();
            for item in &self.items {
                if let Item::Event(event) = item {
                    *events.entry(event.kind().name().to_owned()).or_insert(0) += 1;
                }
            }
            let end = Summary { begin: START, end: self.time + STEP, events, ..summary.clone() };
            checker.summary(&end);
            fast.summary(&end);
        }
        let verdict = checker.finish(None);
        assert_eq!(verdict, fast.finish(None), "items and records give the same verdict");
        verdict
    }

    /// The answer of one rule; no other one may be violated.
    pub fn rule(&self, name: &str) -> RuleVerdict {
        let verdict = self.verdict();
        for rule in &verdict.rules {
            assert!(
                rule.name == name || rule.outcome != Outcome::Violated,
                "{}: {:?}",
                rule.name,
                rule.evidence
            );
        }
        verdict.rules.into_iter().find(|rule| rule.name == name).unwrap_or_else(|| panic!("no rule {name}"))
    }

    /// The findings of one diagnosis.
    pub fn diagnoses(&self, name: &str) -> Vec<Diagnosis> {
        self.verdict().diagnoses.into_iter().filter(|found| found.name == name).collect()
    }
}

/// Outcome, evaluations and violations of a rule's answer.
pub fn counts(verdict: &RuleVerdict) -> (Outcome, u64, u64) {
    (verdict.outcome, verdict.evaluated, verdict.violations)
}

/// The events pass the rule, each of `evaluated` evaluations.
pub fn passes(name: &str, evaluated: u64, bodies: impl IntoIterator<Item = Body>) {
    let verdict = Session::new().events(bodies).rule(name);
    assert_eq!(counts(&verdict), (Outcome::Pass, evaluated, 0), "{verdict:?}");
}

/// The events say nothing to the rule.
pub fn is_idle(name: &str, bodies: impl IntoIterator<Item = Body>) {
    let verdict = Session::new().events(bodies).rule(name);
    assert_eq!(counts(&verdict), (Outcome::NotExercised, 0, 0), "{verdict:?}");
}

/// The last of the events breaks the rule, and no other.
pub fn violates(name: &str, what: &str, bodies: impl IntoIterator<Item = Body>) -> RuleVerdict {
    let verdict = Session::new().events(bodies).rule(name);
    assert_eq!((verdict.outcome, verdict.violations), (Outcome::Violated, 1), "{verdict:?}");
    assert!(verdict.evidence[0].what.contains(what), "{}", verdict.evidence[0].what);
    verdict
}

/// The events leave the rule without an answer.
pub fn is_open(name: &str, why: &str, session: &Session) {
    let verdict = session.rule(name);
    assert_eq!(verdict.outcome, Outcome::Inconclusive, "{verdict:?}");
    assert!(verdict.reasons.iter().any(|reason| reason.contains(why)), "{:?}", verdict.reasons);
}
