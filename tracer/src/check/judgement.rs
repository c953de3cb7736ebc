//! From a rule's accounts to its answer.

use std::collections::BTreeMap;

use tracer_common::event::Kind;

use super::coverage::{Availability, Cause, Gaps, Missing, gaps};
use super::facts::Facts;
use super::findings::{Confirmed, Findings};
use super::info::{Need, Role, RuleInfo};
use super::losses::Losses;
use super::options::{OnLoss, OnMissing, Options};
use super::silence::Silences;
use super::{Outcome, RuleVerdict};

/// What is known of the stream as a whole when it has ended.
pub struct Whole<'a> {
    /// What was asked.
    pub options: &'a Options,
    /// The kernel and the session.
    pub facts: &'a Facts,
    /// What is missing.
    pub losses: &'a Losses,
    /// Probes that were attached and could not fire.
    pub silences: &'a Silences,
    /// Events of each kind in the whole stream, by name; `None` when that is not known.
    pub events: Option<&'a BTreeMap<String, u64>>,
    /// Why the stream is not whole.
    pub incomplete: Option<&'a str>,
}

/// The families of the events that a rule cannot do without, bits by number.
pub fn families(info: &RuleInfo) -> u32 {
    let needed = info.needs.iter().filter(|need| need.is_required());
    needed.fold(0, |families, need| families | 1 << need.kind.family() as u32)
}

impl Whole<'_> {
    /// Whether nothing happened that the rule speaks about, as events show whose probes worked: whatever else is
    /// missing then was not missed.
    fn is_idle(&self, info: &RuleInfo, findings: &Findings, confirmed: &Confirmed) -> bool {
        let mut occasions = info.needs.iter().filter(|need| need.is_occasion).peekable();
        occasions.peek().is_some()
            && confirmed.doubtful == 0
            && findings.unreadable.is_empty()
            && self.incomplete.is_none()
            && occasions.all(|need| self.did_not_happen(need.kind))
    }

    /// Whether it is certain that there was no event of that kind.
    fn did_not_happen(&self, kind: Kind) -> bool {
        let is_watched = match self.facts.availability(kind) {
            Availability::Attached { .. } => true,
            Availability::Impossible(_) => return true,
            Availability::Missing(_) => false,
        };
        is_watched
            && self.silences.of_kind(kind).is_none()
            && !self.losses.noticed(1 << kind.family() as u32, 0, u64::MAX)
            && self.events.is_some_and(|events| !events.contains_key(kind.name()))
    }

    /// Where the rule counts events that may be missing, what it found may come from that.
    fn doubt(&self, info: &RuleInfo, confirmed: &mut Confirmed) {
        let counted = |need: &&Need| need.role == Role::Counted;
        let is_doubtful = info.needs.iter().filter(counted).any(|need| {
            self.silences.of_kind(need.kind).is_some()
                || self.losses.missed(need.kind.family()) >= confirmed.violations
        });
        if is_doubtful && confirmed.violations > 0 {
            confirmed.doubtful += std::mem::take(&mut confirmed.violations);
            confirmed.evidence.clear();
        }
    }

    /// The answer of one rule.
    pub fn judge(&self, info: &'static RuleInfo, mut findings: Findings) -> RuleVerdict {
        let families = families(info);
        let mut confirmed = findings.settle(self.losses, families);
        self.doubt(info, &mut confirmed);
        let mut reasons = Vec::new();
        let mut notes = std::mem::take(&mut findings.notes);
        let Gaps { missing, silent, impossible, notes: stand_ins } =
            gaps(info.needs, self.facts, self.silences);
        notes.extend(stand_ins);
        let is_reason = |missing: &&Missing| {
            missing.cause == Cause::NotAsked && self.options.on_missing == OnMissing::Error
        };
        let unasked = missing.iter().filter(is_reason).count();
        let missing = missing.into_iter().map(|missing| missing.reason);
        let evaluated = findings.evaluated - confirmed.doubtful;

        let unreadable = findings.unreadable.iter().map(|(what, count)| {
            let times = if *count == 1 { "once".to_owned() } else { format!("{count} times") };
            format!("{what} could not be read, {times}; `rmapscope doctor` shows what the kernel hides")
        });
        match self.options.on_missing {
            OnMissing::Error => reasons.extend(missing.chain(unreadable)),
            OnMissing::Warn => notes.extend(missing.chain(unreadable)),
            OnMissing::Ignore => {}
        }

        let mut lost = silent;
        lost.extend(self.losses.sentences(families));
        if confirmed.doubtful > 0 {
            lost.push(format!(
                "{} contradictions may come from missing events and were not counted{}",
                confirmed.doubtful,
                if self.losses.is_uncounted(families) {
                    ": this kernel does not count the kprobe programs that it skips (before 6.7)"
                } else {
                    ""
                }
            ));
        }
        lost.extend(self.incomplete.map(|why| format!("{why}; the last events are not judged")));
        match self.options.on_loss {
            OnLoss::Inconclusive => reasons.extend(lost),
            OnLoss::Warn => notes.extend(lost),
            OnLoss::Ignore => {}
        }

        let required = self.options.required.get(info.name).copied().unwrap_or_default();
        if evaluated < required {
            reasons.push(format!("evaluated {evaluated} times, {required} required"));
        }

        let outcome = if confirmed.violations > 0 {
            Outcome::Violated
        } else if evaluated == 0
            && required == 0
            && (impossible.is_some() || self.is_idle(info, &findings, &confirmed))
        {
            Outcome::NotExercised
        } else if !reasons.is_empty() {
            Outcome::Inconclusive
        } else if evaluated > 0 {
            Outcome::Pass
        } else {
            Outcome::NotExercised
        };
        let is_unasked = outcome == Outcome::Inconclusive && reasons.len() == unasked;
        match outcome {
            Outcome::NotExercised => {
                reasons = vec![match impossible {
                    Some(why) => format!("this kernel cannot exercise it: {why}"),
                    None => info.idle.to_owned(),
                }];
            }
            // A violation stands whatever else is missing.
            Outcome::Violated => notes.append(&mut reasons),
            Outcome::Inconclusive | Outcome::Pass => {}
        }
        RuleVerdict {
            name: info.name,
            title: info.title,
            severity: info.severity,
            outcome,
            evaluated,
            violations: confirmed.violations,
            evidence: confirmed.evidence,
            reasons,
            notes,
            is_unasked,
        }
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::event::{Body, Kind, RestoreExclusive, UNCOUNTED};
    use tracer_common::family::Family;

    use crate::check::testing::*;
    use crate::check::{OnLoss, Outcome};

    /// A walk by try_to_unmap of a locked folio.
    fn walked() -> Body {
        Body::TryToUnmap(walk(FLAGS, 0))
    }

    #[test]
    fn probes_that_could_not_fire_leave_their_rules_open() {
        let session = Session::new().event(walked()).silenced(&[Kind::TryToUnmap]);
        is_open("rmap-caller-locked", "kernel.ftrace_enabled was 0", &session);
        is_open("rmap-caller-locked", "sysctl kernel.ftrace_enabled=1", &session);
        let others = session.rule("swiotlb-paired");
        assert_eq!(others.outcome, Outcome::NotExercised, "{others:?}");
        let silent = &session.verdict().subject.silent;
        assert_eq!(silent[0].points, ["try_to_unmap"]);
    }

    #[test]
    fn events_that_this_version_does_not_know_leave_the_rules_of_their_family_open() {
        let rmap = Family::Rmap as u8;
        let session = Session::new().event(walked()).unknown("walk_of_the_future", rmap);
        is_open("rmap-caller-locked", "does not know (walk_of_the_future 3)", &session);
        let reasons = session.rule("rmap-caller-locked").reasons;
        assert!(!reasons.iter().any(|reason| reason.contains("damaged")), "{reasons:?}");
        assert_eq!(session.rule("swiotlb-paired").outcome, Outcome::NotExercised);
        let subject = session.verdict().subject;
        assert_eq!(subject.unknown_kinds, [("walk_of_the_future".to_owned(), 3)].into());
        assert_eq!(subject.dropped, [("rmap".to_owned(), 3)].into());
    }

    #[test]
    fn events_of_a_family_that_this_version_does_not_know_leave_no_rule_open() {
        let session = Session::new().event(walked()).unknown("ksm_merge", 0x70);
        assert_eq!(session.rule("rmap-caller-locked").outcome, Outcome::Pass);
        assert_eq!(session.verdict().subject.unknown_kinds, [("ksm_merge".to_owned(), 3)].into());
    }

    #[test]
    fn probes_that_could_not_fire_are_a_loss_to_ignore_on_request_only() {
        let mut session = Session::new().event(walked()).silenced(&[Kind::TryToUnmap]);
        session.options.on_loss = OnLoss::Ignore;
        assert_eq!(session.rule("rmap-caller-locked").outcome, Outcome::Pass);
    }

    #[test]
    fn what_was_not_hit_although_it_must_have_been_leaves_its_rules_open() {
        let visits = |walks| Session::new().hits("try_to_unmap_one", 64).hits("try_to_unmap", walks);
        is_open("rmap-caller-locked", "try_to_unmap is attached and never fired", &visits(0));
        assert_eq!(visits(3).rule("rmap-caller-locked").outcome, Outcome::NotExercised);
    }

    #[test]
    fn contradictions_in_a_silence_are_no_violations() {
        let unmap = || Body::SwiotlbUnmapSingle(unmap(0));
        let events = [Body::SwiotlbMapSingle(map(0)), Body::SwiotlbMap(answer(0)), unmap(), unmap()];
        let session = Session::new().events(events);
        let before = session.rule("swiotlb-paired");
        assert_eq!(before.outcome, Outcome::Violated, "{before:?}");
        is_open(
            "swiotlb-paired",
            "kernel.ftrace_enabled was 0",
            &session.silenced(&[Kind::SwiotlbMapSingle]),
        );
    }

    #[test]
    fn calls_that_could_not_be_counted_are_no_violation() {
        let restored = RestoreExclusive { vm_flags: VM_FLAGS | VM_LOCKED, mlocks: 0, ..restore() };
        let session = Session::new().event(Body::RestoreExclusive(restored));
        assert_eq!(session.rule("restore-remlocks").outcome, Outcome::Violated);
        is_open("restore-remlocks", "were not counted", &session.clone().silenced(&[Kind::MlockFolio]));
        is_open("restore-remlocks", "were not counted", &session.missed(Family::Mlock));
        let unread = RestoreExclusive { mlocks: UNCOUNTED, flags: UNLOCKED, ..restored };
        is_open("restore-remlocks", "mlock_folio", &Session::new().event(Body::RestoreExclusive(unread)));
    }

    #[test]
    fn what_nobody_did_is_not_exercised_whatever_else_is_missing() {
        let quiet = Session::new().event(walked()).without(Kind::ExclusiveMove);
        let rule = quiet.rule("exclusive-ends-once");
        assert_eq!(rule.outcome, Outcome::NotExercised, "{rule:?}");
        assert_eq!(rule.reasons, ["no device-exclusive entry ended"]);
        // Somebody did it.
        let made = quiet.clone().event(Body::RestoreExclusive(restore()));
        is_open("exclusive-ends-once", "exclusive_move is not watched", &made);
        // What would show it is missing, could not fire, or lost events.
        let blind = Session::new().without(Kind::ExclusiveMove).without(Kind::RestoreExclusive);
        is_open("exclusive-ends-once", "exclusive_move is not watched", &blind);
        let silent = quiet.clone().silenced(&[Kind::RestoreExclusive]);
        is_open("exclusive-ends-once", "exclusive_move is not watched", &silent);
        let lossy = quiet.clone().loss(Some(Family::Exclusive));
        is_open("exclusive-ends-once", "exclusive_move is not watched", &lossy);
        is_open("exclusive-ends-once", "did not end in order", &quiet.clone().cut());
        // It is required.
        let mut required = quiet.clone();
        required.options.required.insert("exclusive-ends-once", 1);
        is_open("exclusive-ends-once", "evaluated 0 times, 1 required", &required);
        // Losses elsewhere do not matter to what nobody did.
        let elsewhere = quiet.loss(Some(Family::Rmap)).rule("exclusive-ends-once");
        assert_eq!(elsewhere.outcome, Outcome::NotExercised, "{elsewhere:?}");
    }
}
