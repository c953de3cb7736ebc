//! The plan: for each point what to attach, or why nothing.

use std::collections::VecDeque;

use tracer_common::family::Family;
use tracer_common::globals::Globals;
use tracer_common::point::Point;

use super::catalogue::{self, Entry, Scope};
use super::choice::{self, ChosenCandidate};
use super::program::Program;
use super::request::Request;
use super::view::KernelView;
use super::{Attempt, Outcome, PointReport};

/// What to attach for a request on a kernel.
///
/// Nothing is loaded here. A session loads the [programs](Self::programs), and tells the plan of refusals with
/// [`fall_back`](Self::fall_back); the [reports](Self::reports) are true at any time.
#[derive(Clone, Debug)]
pub struct Plan {
    /// One for each point, in the order of [`Point::ALL`].
    pub points: Vec<PlannedPoint>,
    /// Whether `bpf_probe_read_kernel` works.
    pub(super) probe_read: bool,
}

/// One point of a plan.
#[derive(Clone, Debug)]
pub struct PlannedPoint {
    /// The point.
    pub point: Point,
    /// What to attach; `None` when nothing can or need be.
    pub candidate: Option<ChosenCandidate>,
    /// What became of it so far.
    pub report: PointReport,
    /// Points whose records this one completes, where its own events were not asked for.
    pub serves: Vec<Point>,
    /// What to try when the candidate is refused.
    next: VecDeque<ChosenCandidate>,
}

/// What follows a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FallBack {
    /// There is another choice: load and attach its programs. With `reload` its arguments are elsewhere than
    /// the globals of the loaded object say: the object must be loaded again first, with
    /// [`Plan::write_arguments`].
    Next {
        /// Whether the object must be loaded again.
        reload: bool,
    },
    /// There is none; the point is reported as refused.
    Exhausted,
}

impl Plan {
    /// Makes the plan of `request` on the kernel `view`.
    pub fn make(view: &dyn KernelView, request: &Request) -> Self {
        // Records name threads; who they are comes with whatever is traced.
        let anything = !request.kinds.is_empty();
        let wanted: Vec<(&Entry, bool)> = catalogue::entries()
            .map(|entry| {
                let asked = entry.all_kinds().any(|kind| request.kinds.contains(&kind));
                (entry, asked || anything && entry.point.family() == Family::Process)
            })
            .collect();
        let points = wanted
            .iter()
            .map(|(entry, is_asked)| {
                let serves = if *is_asked {
                    Vec::new()
                } else {
                    let served = wanted
                        .iter()
                        .filter(|(other, asked)| *asked && other.companions.contains(&entry.point));
                    served.map(|(other, _)| other.point).collect()
                };
                PlannedPoint::make(view, request, entry, *is_asked, serves)
            })
            .collect();
        Self { points, probe_read: request.probe_read }
    }

    /// The planned point.
    pub fn point(&self, point: Point) -> &PlannedPoint {
        &self.points[point as usize]
    }

    /// Tells the programs where the arguments are.
    pub fn write_arguments(&self, globals: &mut Globals) {
        for planned in &self.points {
            if let Some(candidate) = &planned.candidate {
                candidate.positions.write(planned.point, globals);
            }
        }
        globals.options.count_mlocks = u8::from(self.point(Point::MlockFolio).candidate.is_some());
    }

    /// Every program to load and attach.
    pub fn programs(&self) -> impl Iterator<Item = (Point, Program)> {
        self.points.iter().flat_map(|planned| {
            let candidate = planned.candidate.iter();
            candidate
                .flat_map(|chosen| chosen.programs(planned.point))
                .map(|program| (planned.point, program))
        })
    }

    /// Takes the next choice of a point whose programs the kernel refused to load or attach. `errno` is 0 when
    /// there is none; `reason` is one line.
    pub fn fall_back(&mut self, point: Point, errno: i32, reason: &str) -> FallBack {
        self.points[point as usize].fall_back(errno, reason)
    }

    /// Takes the plan's points for what they are without the `struct page` of a page frame, which the kernel turned out not
    /// to tell: some tell less, some nothing. No choice of them does better.
    pub fn without_pages(&mut self, why: &str) {
        for planned in &mut self.points {
            planned.without_pages(why);
        }
    }

    /// What became of every point.
    pub fn reports(&self) -> Vec<PointReport> {
        self.points.iter().map(|planned| planned.report.clone()).collect()
    }
}

impl PlannedPoint {
    fn make(
        view: &dyn KernelView,
        request: &Request,
        entry: &Entry,
        asked: bool,
        serves: Vec<Point>,
    ) -> Self {
        let mut planned = Self {
            point: entry.point,
            candidate: None,
            report: PointReport {
                point: entry.name().to_owned(),
                family: entry.point.family().name().to_owned(),
                events: entry.all_kinds().map(|kind| kind.name().to_owned()).collect(),
                outcome: Outcome::NotAsked,
                attempts: Vec::new(),
            },
            serves,
            next: VecDeque::new(),
        };
        if asked || !planned.serves.is_empty() {
            let choices = choice::choose(view, request, entry);
            planned.report.attempts = choices.attempts;
            planned.report.outcome = choices.gap;
            planned.next = choices.viable.into();
            planned.advance();
        }
        planned
    }

    /// Its entry in the catalogue.
    pub fn entry(&self) -> &'static Entry {
        catalogue::entry(self.point)
    }

    /// Whether the point's events come only when asked for by name or with all per-VMA detail.
    pub fn is_per_vma(&self) -> bool {
        self.entry().scope == Scope::PerVma
    }

    /// Takes the next choice, if there is one.
    fn advance(&mut self) -> bool {
        self.candidate = self.next.pop_front();
        if let Some(chosen) = &self.candidate {
            self.report.outcome = chosen.outcome();
        }
        self.candidate.is_some()
    }

    fn without_pages(&mut self, why: &str) {
        let entry = self.entry();
        let needs_pages = |chosen: &ChosenCandidate| {
            entry
                .candidates
                .iter()
                .any(|candidate| candidate.only_with_pages && candidate.symbol == chosen.symbol)
        };
        self.next.retain(|chosen| !needs_pages(chosen));
        if let Some(lost) = choice::unread_pages(entry, why) {
            for chosen in self.candidate.iter_mut().chain(&mut self.next) {
                let before = chosen.lost.take().filter(|before| !before.contains(&lost));
                chosen.lost = Some(before.map_or(lost.clone(), |before| format!("{before}; {lost}")));
                self.report.outcome = chosen.outcome();
            }
        }
        if self.candidate.as_ref().is_some_and(needs_pages) && !self.advance() {
            self.report.outcome = Outcome::Unresolved { missing: vec![choice::unfound(why)] };
        }
    }

    fn fall_back(&mut self, errno: i32, reason: &str) -> FallBack {
        let Some(refused) = self.candidate.take() else { return FallBack::Exhausted };
        let attempt = Attempt {
            symbol: refused.symbol.clone(),
            method: refused.method,
            reason: reason.to_owned(),
            is_refusal: true,
        };
        self.report.attempts.push(attempt);
        if !self.advance() {
            self.report.outcome = Outcome::Refused { errno, reason: format!("{}: {reason}", refused.symbol) };
            return FallBack::Exhausted;
        }
        let positions = self.candidate.as_ref().map(|chosen| chosen.positions);
        FallBack::Next { reload: positions != Some(refused.positions) }
    }
}

#[cfg(test)]
mod tests;
