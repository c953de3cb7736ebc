//! Attached is not able to fire: looks again and again whether it is, and keeps what it found.

use tracer_common::family::Family;

use super::clock;
use super::self_test::SelfTest;
use super::switches::Switches;
use crate::event::{Loss, LossCause, Silence};
use crate::kernel::{Switch, SwitchState};
use crate::probe::{Plan, ProgramKind};

/// Notices when programs of a kind cannot fire.
pub struct Monitor {
    self_test: SelfTest,
    switches: Switches,
    served: Vec<Served>,
    found: Vec<Found>,
    /// When the last look began.
    looked: u64,
}

/// What the plan attached by programs of one kind.
struct Served {
    kind: ProgramKind,
    points: Vec<String>,
    /// Bits by number.
    families: u32,
}

/// A reason for silence.
struct Found {
    silence: Silence,
    /// The switch that was off.
    off: Option<Switch>,
    families: u32,
    /// Since when, while it lasts.
    open: Option<u64>,
}

/// What one look found.
struct Seen {
    reason: String,
    remedy: String,
    /// The switch that is off.
    off: Option<Switch>,
    points: Vec<String>,
    families: u32,
    /// Whether it lasts, as far as is known.
    lasts: bool,
}

impl Monitor {
    /// Watches a plan that was attached since `begin`.
    pub fn new(self_test: SelfTest, switches: Switches, plan: &Plan, begin: u64) -> Self {
        let mut served: Vec<Served> = Vec::new();
        for (point, program) in plan.programs() {
            let place = served.iter().position(|served| served.kind == program.kind).unwrap_or_else(|| {
                served.push(Served { kind: program.kind, points: Vec::new(), families: 0 });
                served.len() - 1
            });
            let name = &plan.point(point).report.point;
            let Served { points, families, .. } = &mut served[place];
            if !points.contains(name) {
                points.push(name.clone());
            }
            *families |= 1 << point.family() as u32;
        }
        Self { self_test, switches, served, found: Vec::new(), looked: begin }
    }

    /// Looks whether programs of every kind can fire. The result tells of the stretches that began or ended, for
    /// the stream.
    pub fn look(&mut self) -> Vec<Loss> {
        let began = clock::now();
        let written = self.switches.written();
        let mut seen: Vec<Seen> = Vec::new();
        for served in &self.served {
            let (reason, remedy, off, lasts) = match self.state(served.kind, &written) {
                State::Fires => continue,
                State::Trouble(switch, state, reason) => {
                    (reason, switch.remedy(), (state == SwitchState::Off).then_some(switch), true)
                }
                State::Written(switch) => {
                    (format!("{} was written and may have been 0", switch.name()), WRITTEN, None, false)
                }
                State::Unexplained => {
                    let reason = format!("{} programs did not run in the self-test", served.kind.name());
                    (reason, DOCTOR, None, true)
                }
            };
            match seen.iter_mut().find(|seen| seen.reason == reason) {
                Some(seen) => {
                    let news = served.points.iter().filter(|point| !seen.points.contains(point));
                    let news: Vec<String> = news.cloned().collect();
                    seen.points.extend(news);
                    seen.families |= served.families;
                }
                None => seen.push(Seen {
                    reason,
                    remedy: remedy.to_owned(),
                    off,
                    points: served.points.clone(),
                    families: served.families,
                    lasts,
                }),
            }
        }
        let losses = self.note(seen, clock::now());
        self.looked = began;
        losses
    }

    /// What was found so far.
    pub fn silences(&self) -> Vec<Silence> {
        self.found.iter().map(|found| found.silence.clone()).collect()
    }

    fn state(&self, kind: ProgramKind, written: &[Switch]) -> State {
        let switches = switches(kind);
        let trouble = || {
            switches.iter().find_map(|switch| {
                let state = self.switches.state(*switch);
                switch.trouble(state).map(|reason| State::Trouble(*switch, state, reason))
            })
        };
        let fires = match self.self_test.fires(kind) {
            Some(false) => return trouble().unwrap_or(State::Unexplained),
            None => trouble().unwrap_or(State::Fires),
            Some(true) => State::Fires,
        };
        let was_off =
            |switch: Switch| self.found.iter().any(|found| found.open.is_some() && found.off == Some(switch));
        match (fires, switches.iter().copied().find(|switch| written.contains(switch))) {
            // That is how the stretch that was noticed ended.
            (State::Fires, Some(switch)) if !was_off(switch) => State::Written(switch),
            (fires, _) => fires,
        }
    }

    fn note(&mut self, seen: Vec<Seen>, now: u64) -> Vec<Loss> {
        let mut losses = Vec::new();
        for found in &mut self.found {
            let Some(since) = found.open else { continue };
            let lasts = seen.iter().any(|seen| seen.lasts && found.is(seen));
            found.silence.before = now;
            if !lasts {
                found.open = None;
                losses.extend(missing(found.families, since, now));
            }
        }
        for seen in seen {
            let place = self.found.iter().position(|found| found.is(&seen)).unwrap_or(self.found.len());
            if self.found.get(place).is_some_and(|found| found.open.is_some()) {
                continue;
            }
            losses.extend(missing(seen.families, self.looked, now));
            let open = seen.lasts.then_some(self.looked);
            match self.found.get_mut(place) {
                Some(found) => {
                    found.silence.times += 1;
                    found.silence.before = now;
                    found.open = open;
                }
                None => {
                    let Seen { reason, remedy, off, points, families, .. } = seen;
                    let silence =
                        Silence { reason, remedy, points, times: 1, after: self.looked, before: now };
                    self.found.push(Found { silence, off, families, open });
                }
            }
        }
        losses
    }
}

impl Found {
    fn is(&self, seen: &Seen) -> bool {
        self.silence.reason == seen.reason && self.silence.points == seen.points
    }
}

/// Whether programs of a kind can fire.
enum State {
    Fires,
    /// Not while that switch is as it is, for that reason.
    Trouble(Switch, SwitchState, String),
    /// That switch was turned since the last look.
    Written(Switch),
    /// No switch says why not.
    Unexplained,
}

const WRITTEN: &str = "do not write it during a session";
const DOCTOR: &str = "`rmapscope doctor` as root, with debugfs mounted, reads the switches";

/// Switches that keep programs of that kind from firing, the likelier one first.
fn switches(kind: ProgramKind) -> Vec<Switch> {
    let kprobes = match kind {
        ProgramKind::Fentry | ProgramKind::Fexit => false,
        ProgramKind::Kprobe | ProgramKind::Kretprobe => true,
        ProgramKind::BtfTracepoint | ProgramKind::RawTracepoint => return Vec::new(),
    };
    Switch::ALL.into_iter().rev().filter(|switch| switch.silences(kprobes)).collect()
}

/// An unknown number of events of these families is missing between two times.
fn missing(families: u32, after: u64, before: u64) -> impl Iterator<Item = Loss> {
    Family::ALL.into_iter().filter(move |family| families >> *family as u32 & 1 == 1).map(move |family| {
        Loss { cause: LossCause::Missed, family: Some(family as u8), count: 0, after, before, kind: None }
    })
}
