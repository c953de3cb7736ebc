//! From a rule's accounts to its answer.

use super::coverage::{Gaps, gaps};
use super::facts::Facts;
use super::info::RuleInfo;
use super::ledger::Ledger;
use super::losses::Losses;
use super::options::{OnLoss, OnMissing, Options};
use super::{Outcome, RuleVerdict};

/// What is known of the stream as a whole when it has ended.
pub struct Whole<'a> {
    /// What was asked.
    pub options: &'a Options,
    /// The kernel and the session.
    pub facts: &'a Facts,
    /// What is missing.
    pub losses: &'a Losses,
    /// Why the stream is not whole.
    pub incomplete: Option<&'a str>,
}

/// The families of the events that a rule cannot do without, bits by number.
pub fn families(info: &RuleInfo) -> u32 {
    let needed = info.needs.iter().filter(|need| need.is_required());
    needed.fold(0, |families, need| families | 1 << need.kind.family() as u32)
}

impl Whole<'_> {
    /// The answer of one rule.
    pub fn judge(&self, info: &'static RuleInfo, mut ledger: Ledger) -> RuleVerdict {
        let families = families(info);
        let standing = ledger.settle(self.losses, families);
        let mut reasons = Vec::new();
        let mut notes = std::mem::take(&mut ledger.notes);
        let Gaps { missing, impossible, notes: stand_ins } = gaps(info.needs, self.facts);
        notes.extend(stand_ins);
        let evaluated = ledger.evaluated - standing.doubtful;

        let unreadable = ledger.unreadable.iter().map(|(what, count)| {
            let times = if *count == 1 { "once".to_owned() } else { format!("{count} times") };
            format!("{what} could not be read, {times}; `rmapscope doctor` tells what the kernel hides")
        });
        match self.options.on_missing {
            OnMissing::Error => reasons.extend(missing.into_iter().chain(unreadable)),
            OnMissing::Warn => notes.extend(missing.into_iter().chain(unreadable)),
            OnMissing::Ignore => {}
        }

        let mut lost = self.losses.sentences(families);
        if standing.doubtful > 0 {
            lost.push(format!(
                "{} contradictions may come from missing events and were not counted{}",
                standing.doubtful,
                if self.losses.is_uncounted(families) {
                    ": this kernel does not count the kprobe programs that it skips (before 6.7)"
                } else {
                    ""
                }
            ));
        }
        lost.extend(self.incomplete.map(|why| format!("{why}; what came last is not judged")));
        match self.options.on_loss {
            OnLoss::Inconclusive => reasons.extend(lost),
            OnLoss::Warn => notes.extend(lost),
            OnLoss::Ignore => {}
        }

        let required = self.options.required.get(info.name).copied().unwrap_or_default();
        if evaluated < required {
            reasons.push(format!("evaluated {evaluated} times of the {required} that are required"));
        }

        let outcome = if standing.violations > 0 {
            Outcome::Violated
        } else if evaluated == 0 && required == 0 && impossible.is_some() {
            Outcome::NotExercised
        } else if !reasons.is_empty() {
            Outcome::Inconclusive
        } else if evaluated > 0 {
            Outcome::Pass
        } else {
            Outcome::NotExercised
        };
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
            violations: standing.violations,
            evidence: standing.evidence,
            reasons,
            notes,
        }
    }
}
