//! How a session ends: what was missed, and the sums.

use std::ops::Range;

use tracer_common::counters::Counters;
use tracer_common::family::Family;
use tracer_common::point::Point;

use super::{BETWEEN_LOOKS, Live};
use crate::Error;
use crate::check::{Silences, SilentProbes};
use crate::event::{Item, Loss, LossCause, Sink, Summary};
use crate::overhead::ProgramCost;
use crate::probe::PointReport;
use crate::session::clock;
use crate::session::counters::by_family;
use crate::session::counting::CountReader;

/// What the kernel skipped is asked for at most so often at the end, to see whether a copy was still to come.
const LOOKS_AT_MISSED: usize = 10;

/// How a session ended.
pub struct Ended {
    /// What the sink was given last.
    pub summary: Summary,
    /// What became of every point.
    pub reports: Vec<PointReport>,
    /// Points that were attached and could not fire, or did not when they had to.
    pub silent: Vec<SilentProbes>,
    /// What the programs themselves cost, where that was asked for.
    pub costs: Vec<ProgramCost>,
}

impl Live {
    /// Calls that nobody saw since the probes are attached, by family: what the kernel skipped, less what copies of
    /// the skipped programs saw.
    pub(super) fn unseen(&self) -> [i64; Family::COUNT] {
        // In this order a call that is skipped in between counts as unseen, and none that was is left out.
        let rescued = self.buffers.counters().rescued;
        let skipped = self.probes.skipped(&self.plan);
        std::array::from_fn(|family| skipped[family].wrapping_sub(rescued[family]).cast_signed())
    }

    /// Calls that nobody saw while what was to be watched went on, by family. A call that is just between the
    /// program that was skipped and its copy counts as one, and soon does not any more. Were there fewer skips than
    /// calls that copies saw, so many were seen twice, and the count of what happened is as wrong.
    pub(super) async fn missed(&self) -> [u64; Family::COUNT] {
        let since = || -> [u64; Family::COUNT] {
            let unseen = self.unseen();
            std::array::from_fn(|family| (unseen[family] - self.unseen_before[family]).unsigned_abs())
        };
        let mut missed = since();
        for _ in 0..LOOKS_AT_MISSED {
            if missed == [0; Family::COUNT] {
                break;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
            let again = since();
            missed = std::array::from_fn(|family| missed[family].min(again[family]));
        }
        missed
    }

    pub(super) fn finish<S: Sink>(
        mut self,
        reason: String,
        command_status: Option<i32>,
        missed: [u64; Family::COUNT],
        watched: &Counters,
        while_watched: Range<u64>,
        sink: &mut S,
    ) -> Result<Ended, Error> {
        let totals = self.buffers.counters();
        for (kind, count) in self.counts.iter().flat_map(CountReader::outside) {
            self.window.leave_out(kind as u16, count);
        }
        let end = clock::now();
        // Behind a record that its program never committed.
        let dropped: [u64; Family::COUNT] = std::array::from_fn(|family| {
            let sent = totals.emitted[family] - totals.lost[family];
            let family = Family::ALL[family];
            sent.saturating_sub(self.tally.of(family) + self.window.outside(family))
        });
        let lost = self.window.lost(watched);
        // Less what lies outside of the time in which every probe was attached.
        let emitted: [u64; Family::COUNT] = std::array::from_fn(|family| {
            let lost_outside = totals.lost[family] - lost[family];
            totals.emitted[family] - lost_outside - self.window.outside(Family::ALL[family])
        });
        for (cause, counts) in [(LossCause::Missed, &missed), (LossCause::Dropped, &dropped)] {
            for family in Family::ALL.into_iter().filter(|family| counts[*family as usize] > 0) {
                sink.item(&Item::Loss(Loss {
                    cause,
                    family: Some(family as u8),
                    kind: None,
                    count: counts[family as usize],
                    after: self.begin,
                    before: end,
                }))?;
            }
        }
        let attached = |point: &&Point| self.plan.point(**point).report.outcome.is_attached();
        let by_point = |hits: &dyn Fn(Point) -> u64| {
            let named = |point: &Point| (self.plan.point(*point).report.point.clone(), hits(*point));
            Point::ALL.iter().filter(attached).map(named).collect()
        };
        let summary = Summary {
            events: self.tally.by_name(),
            emitted: by_family(&emitted),
            lost: by_family(&lost),
            missed: by_family(&missed),
            dropped: by_family(&dropped),
            unpaired: by_family(&self.meter.unpaired(watched)),
            stacks_lost: totals.stacks_lost,
            hits: by_point(&|point| totals.hits[point as usize]),
            watched_hits: by_point(&|point| self.window.hits(watched, point)),
            silenced: self.monitor.silences(),
            begin: self.begin,
            end,
            attached: while_watched.start,
            decided: while_watched.end,
            reason,
            command_status,
        };
        sink.item(&Item::Summary(summary.clone()))?;
        let reports = self.plan.reports();
        let silences = Silences::new(&reports, self.facts.description.possible_cpus, &summary);
        Ok(Ended { silent: silences.told(), reports, summary, costs: Vec::new() })
    }
}
