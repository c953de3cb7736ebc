//! The sink that judges: each event to the rules that need it, each rule's findings to its answer.

use tracer_common::event::{Header, Kind};
use tracer_common::family::Family;

use super::catalogue::{diagnoses, make_diagnoses, rules};
use super::diagnoses::{DIAGNOSES, Diagnose};
use super::facts::Facts;
use super::findings::{Findings, RuleContext};
use super::judgement::{Whole, families};
use super::losses::Losses;
use super::options::Options;
use super::rules::{RULES, Rule, make};
use super::scope::watched;
use super::silence::Silences;
use super::state::{Live, State};
use super::stream_context::StreamContext;
use super::{Diagnosis, RuleVerdict, Subject, Verdict};
use crate::Error;
use crate::event::{
    Event, Item, Loss, LossCause, Names, ProcessEntry, Sink, StackEntry, Summary, malformed, total,
};
use crate::probe::PointReport;
use crate::trace_file::FileHeader;

/// Kinds have numbers below this: a family in the high byte.
const NUMBERS: usize = Family::COUNT << 8;

/// Bits of a kind in the table: one for each rule at work, then one for each diagnosis, then these.
const STATE: u64 = 1 << 62;
const NAMES: u64 = 1 << 63;
const FIRST_DIAGNOSIS: usize = RULES;
const _: () = assert!(RULES + DIAGNOSES < 62);

/// A rule at work.
struct ActiveRule {
    /// Place in the catalogue.
    place: usize,
    /// Families of the events that it cannot do without, bits by number.
    families: u32,
    rule: Box<dyn Rule>,
    findings: Findings,
}

/// Judges a stream. Its memory is bounded by what lives in the kernel, not by the events.
pub struct Checker {
    options: Options,
    facts: Facts,
    names: Names,
    state: State,
    active: Vec<ActiveRule>,
    diagnoses: [Box<dyn Diagnose>; DIAGNOSES],
    /// Who wants events of a kind, by its number.
    table: Box<[u64; NUMBERS]>,
    losses: Losses,
    events: u64,
    /// Time of the first event.
    start: Option<u64>,
    /// Time of the last event that somebody wanted.
    last: u64,
    summary: Option<Summary>,
    subject: Subject,
    probes: Vec<PointReport>,
    possible_cpus: u32,
    realtime_offset: i64,
}

impl Checker {
    /// Judges a stream with that header.
    pub fn new(header: &FileHeader, options: Options) -> Self {
        let facts = Facts::new(header);
        let mut table = Box::new([0; NUMBERS]);
        let mut want = |kind: Kind, bit: u64| table[kind as usize] |= bit;
        let mut active = Vec::new();
        for place in options.rules.places() {
            let info = &rules()[place];
            info.needs.iter().for_each(|need| want(need.kind, 1 << active.len()));
            let findings = Findings::new(options.evidence);
            active.push(ActiveRule { place, families: families(info), rule: make(place, &facts), findings });
        }
        for (index, diagnosis) in diagnoses().iter().enumerate() {
            diagnosis.needs.iter().for_each(|need| want(need.kind, 1 << (FIRST_DIAGNOSIS + index)));
        }
        for &kind in Kind::ALL {
            if State::follows(kind) {
                want(kind, STATE);
            }
            if kind.family() == Family::Process || kind == Kind::DeviceName {
                want(kind, NAMES);
            }
        }
        Self {
            diagnoses: make_diagnoses(options.evidence),
            options,
            facts,
            names: Names::default(),
            state: State::new(&header.kernel),
            active,
            table,
            losses: Losses::new(header),
            events: 0,
            start: None,
            last: 0,
            summary: None,
            subject: subject(header),
            probes: header.probes.clone(),
            possible_cpus: header.kernel.possible_cpus,
            realtime_offset: header.clock.realtime_offset,
        }
    }

    /// Takes one record as it is in a buffer and in a trace file: the fast way.
    #[inline]
    pub fn record(&mut self, record: &[u8]) {
        let Some(header) = Header::decode(record) else { return self.malformed() };
        let Some(wanted) = self.table.get(usize::from(header.kind)).copied() else { return self.malformed() };
        self.events += 1;
        self.last = header.time;
        if self.start.is_none() {
            self.start = Some(header.time);
        }
        if wanted == 0 {
            return;
        }
        match Event::decode(record) {
            Ok(event) => self.dispatch(&event, wanted),
            Err(_) => self.malformed(),
        }
    }

    /// Takes anything else.
    pub fn item(&mut self, item: &Item) {
        match item {
            Item::Event(event) => self.event(event),
            Item::Loss(loss) => self.loss(loss),
            Item::Process(process) => self.process(process),
            Item::Stack(stack) => self.stack(stack),
            Item::Summary(summary) => self.summary(summary),
        }
    }

    #[cold]
    fn malformed(&mut self) {
        self.item(&malformed());
    }

    /// Takes a loss, in its place among the records.
    pub fn loss(&mut self, loss: &Loss) {
        self.losses.add(loss);
        if loss.is_of_new_family() {
            return;
        }
        let family = loss.family();
        self.state.lost(family);
        let bits = family.map_or(u32::MAX, |family| 1 << family as u32);
        for rule_at_work in self.active.iter_mut().filter(|rule_at_work| rule_at_work.families & bits != 0) {
            rule_at_work.rule.lost();
        }
        for (diagnosis, info) in self.diagnoses.iter_mut().zip(diagnoses()) {
            if info.needs.iter().any(|need| bits >> need.kind.family() as u32 & 1 == 1) {
                diagnosis.lost();
            }
        }
    }

    /// Takes a thread that lived when the session began.
    pub fn process(&mut self, process: &ProcessEntry) {
        self.names.follow(&Item::Process(process.clone()));
    }

    /// Takes a stack that later records name.
    pub fn stack(&mut self, stack: &StackEntry) {
        self.names.follow(&Item::Stack(stack.clone()));
    }

    /// Takes the session's own end.
    pub fn summary(&mut self, summary: &Summary) {
        self.losses.sum(summary);
        self.summary = Some(summary.clone());
    }

    /// Takes one event, decoded.
    #[inline]
    pub fn event(&mut self, event: &Event) {
        self.events += 1;
        self.last = event.header.time;
        if self.start.is_none() {
            self.start = Some(event.header.time);
        }
        let wanted = self.table[event.kind() as usize];
        if wanted != 0 {
            self.dispatch(event, wanted);
        }
    }

    #[inline]
    fn dispatch(&mut self, event: &Event, wanted: u64) {
        if wanted & NAMES != 0 {
            self.names.follow(&Item::Event(*event));
        }
        let stream = StreamContext {
            facts: &self.facts,
            names: &self.names,
            state: &self.state,
            start: self.start.unwrap_or_default(),
        };
        let mut listeners = wanted & !(STATE | NAMES);
        while listeners != 0 {
            let place = listeners.trailing_zeros() as usize;
            listeners &= listeners - 1;
            if place >= FIRST_DIAGNOSIS {
                self.diagnoses[place - FIRST_DIAGNOSIS].event(event, &stream);
            } else {
                let ActiveRule { rule, findings, .. } = &mut self.active[place];
                rule.event(event, &mut RuleContext { stream: &stream, findings });
            }
        }
        if wanted & STATE != 0 {
            self.state.follow(event);
        }
    }

    /// Who is who at this place of the stream.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Names the idle thread of that event's CPU: the stream itself does not.
    pub fn name_idle_thread(&mut self, event: &Event) {
        if self.names.comm(&event.header).is_none() {
            self.names.follow(&Item::Event(*event));
        }
    }

    /// What is known to live at this place of the stream.
    pub fn live(&self) -> Live {
        self.state.live()
    }

    /// Whether a rule is violated, as far as is known now: a contradiction between two events may still turn
    /// out to come from events that are missing between them.
    pub fn is_violated(&self) -> bool {
        self.active.iter().any(|rule_at_work| rule_at_work.findings.is_violated())
    }

    /// The verdict. `incomplete` says why the stream is not whole, for example because the file is cut.
    pub fn finish(mut self, incomplete: Option<String>) -> Verdict {
        let incomplete = incomplete
            .or_else(|| self.summary.is_none().then(|| "the recording did not end in order".to_owned()));
        let silences = self.summary.as_ref().map_or_else(Silences::default, |summary| {
            Silences::new(&self.probes, self.possible_cpus, summary)
        });
        self.losses.silences(&silences);
        let begin = self.summary.as_ref().map(|summary| summary.begin).or(self.start).unwrap_or_default();
        let end = self.summary.as_ref().map_or(self.last, |summary| summary.end);
        // Times are counted from the first event, as in every other output.
        let stream = StreamContext {
            facts: &self.facts,
            names: &self.names,
            state: &self.state,
            start: self.start.unwrap_or_default(),
        };
        let whole = Whole {
            options: &self.options,
            facts: &self.facts,
            losses: &self.losses,
            silences: &silences,
            events: self
                .summary
                .as_ref()
                .map(|summary| &summary.events)
                .filter(|counts| total(counts.values()) >= self.events),
            incomplete: incomplete.as_deref(),
        };
        let rules: Vec<RuleVerdict> = self
            .active
            .into_iter()
            .map(|mut rule_at_work| {
                rule_at_work
                    .rule
                    .finish(end, &mut RuleContext { stream: &stream, findings: &mut rule_at_work.findings });
                whole.judge(&rules()[rule_at_work.place], rule_at_work.findings)
            })
            .collect();
        let found = self.diagnoses.iter_mut().flat_map(|diagnosis| diagnosis.finish(&stream));
        let diagnoses: Vec<Diagnosis> = found.collect();
        let summary = self.summary.as_ref();
        self.subject.started = self.realtime_offset.saturating_add_unsigned(begin);
        // A recording without an end lasted at least from its first event to its last.
        self.subject.duration = summary.map_or(end.saturating_sub(begin), Summary::watched);
        self.subject.command_status = summary.and_then(|summary| summary.command_status);
        self.subject.events = self.events;
        self.subject.lost = self.losses.by_name(LossCause::Lost);
        self.subject.missed = self.losses.by_name(LossCause::Missed);
        self.subject.dropped = self.losses.by_name(LossCause::Dropped);
        self.subject.unknown_kinds = self.losses.unknown_kinds();
        self.subject.unpaired = self.losses.unpaired();
        self.subject.silent = silences.told();
        self.subject.incomplete = incomplete;
        Verdict { subject: self.subject, rules, diagnoses, probes: self.probes }
    }
}

/// What is known of the subject before the first event.
fn subject(header: &FileHeader) -> Subject {
    let kernel = &header.kernel;
    Subject {
        program_version: header.program_version.clone(),
        host: header.host.clone(),
        release: kernel.release.clone(),
        version: kernel.version.clone(),
        machine: kernel.machine.clone(),
        build_id: kernel.build_id.clone(),
        command: header.traced_command.clone(),
        watched: watched(header),
        ..Subject::default()
    }
}

impl Sink for Checker {
    #[inline]
    fn record(&mut self, record: &[u8]) -> Result<(), Error> {
        Self::record(self, record);
        Ok(())
    }

    fn item(&mut self, item: &Item) -> Result<(), Error> {
        Self::item(self, item);
        Ok(())
    }
}
