//! What is missing.

use crate::check::Subject;
use crate::event::{Loss, Summary};
use crate::report::model::{Gap, Losses};

/// Most stretches that are told one by one.
const MOST_GAPS: usize = 100;

/// The stretches in which events are missing, and what the session said at its end.
#[derive(Debug, Default)]
pub struct Gaps {
    gaps: Vec<Gap>,
    more: u64,
    stacks_lost: Option<u64>,
}

impl Gaps {
    /// Takes a loss between two times after the start of the stream.
    pub fn loss(&mut self, loss: &Loss, after: u64, before: u64) {
        if self.gaps.len() >= MOST_GAPS {
            self.more += 1;
            return;
        }
        self.gaps.push(Gap {
            cause: loss.cause,
            family: loss.family().map(|family| family.name()),
            count: loss.count,
            from: after,
            to: (before != u64::MAX).then_some(before),
        });
    }

    /// Takes the session's own end.
    pub fn summary(&mut self, summary: &Summary) {
        self.stacks_lost = Some(summary.stacks_lost);
    }

    /// The report's part. The sums are those of the verdict, which took the same stream.
    pub fn finish(self, subject: &Subject, unstored: u64) -> Losses {
        Losses {
            lost: subject.lost.clone(),
            missed: subject.missed.clone(),
            dropped: subject.dropped.clone(),
            unpaired: subject.unpaired.clone(),
            stacks_lost: self.stacks_lost.unwrap_or(unstored),
            gaps: self.gaps,
            more_gaps: self.more,
            incomplete: subject.incomplete.clone(),
        }
    }
}
