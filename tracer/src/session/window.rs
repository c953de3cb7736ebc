//! The stretch of time in which every probe is attached, to which a stream is cut.
//!
//! Probes are attached and detached one after the other. While that goes on, what begins a state is seen without what
//! ends it, or the other way round: a bounce buffer whose unmap nobody saw still seems to live when its slots are given
//! out again. Nothing of that time can be judged, so it is not handed on. Processes are the exception: who lives, and by
//! what name, must be known from the first moment on.

use tracer_common::counters::Counters;
use tracer_common::family::Family;
use tracer_common::point::Point;

use crate::event::Run;

/// Tells what of a stream lies within the time in which every probe is attached.
pub struct Window {
    from: u64,
    until: u64,
    /// What was counted before. A point that was attached early has hits that one attached late cannot have.
    before: Counters,
    /// Events that were not handed on, by family.
    outside: [u64; Family::COUNT],
}

impl Window {
    /// Every probe is attached since `from`, `CLOCK_MONOTONIC` nanoseconds, and `before` was counted until then.
    pub const fn new(from: u64, before: Counters) -> Self {
        Self { from, until: u64::MAX, before, outside: [0; Family::COUNT] }
    }

    /// Since when every probe is attached.
    pub const fn from(&self) -> u64 {
        self.from
    }

    /// From now on probes are detached.
    pub const fn close(&mut self, now: u64) {
        self.until = now;
    }

    /// The parts of a run that are to be handed on. Only a run that crosses a boundary is looked at record by record:
    /// one with an earlier time that was reserved later belongs to a program that ran when every probe was attached.
    #[inline]
    pub fn parts<'a>(&mut self, run: Run<'a>) -> impl Iterator<Item = Run<'a>> + use<'a> {
        let bytes = run.bytes();
        let last = bytes.len().saturating_sub(run.size());
        let is_whole = self.holds(run.kind(), bytes) && self.holds(run.kind(), &bytes[last..]);
        let (whole, cut) = if is_whole { (Some(run), Vec::new()) } else { (None, self.cut(run)) };
        whole.into_iter().chain(cut)
    }

    #[cold]
    fn cut<'a>(&mut self, run: Run<'a>) -> Vec<Run<'a>> {
        let (within, outside): (Vec<&[u8]>, Vec<&[u8]>) =
            run.records().partition(|record| self.holds(run.kind(), record));
        self.leave_out(run.kind(), outside.len() as u64);
        within.into_iter().map(|record| Run::new(run.kind(), run.size(), record)).collect()
    }

    /// What begins with no time is no record, which whoever takes it says.
    #[inline]
    fn holds(&self, kind: u16, record: &[u8]) -> bool {
        let Some(time) = record.first_chunk() else { return true };
        let time = u64::from_ne_bytes(*time);
        (self.from..=self.until).contains(&time) || kind >> 8 == Family::Process as u16
    }

    /// So many events of a kind are not handed on.
    pub fn leave_out(&mut self, kind: u16, number: u64) {
        if let Some(count) = self.outside.get_mut(usize::from(kind >> 8)) {
            *count += number;
        }
    }

    /// Events of a family that were not handed on.
    pub const fn outside(&self, family: Family) -> u64 {
        self.outside[family as usize]
    }

    /// Hits of a point within, of the sums until it was closed.
    pub const fn hits(&self, totals: &Counters, point: Point) -> u64 {
        totals.hits[point as usize].saturating_sub(self.before.hits[point as usize])
    }

    /// What was lost within, of the sums until it was closed.
    pub fn lost(&self, totals: &Counters) -> [u64; Family::COUNT] {
        let mut lost = totals.lost;
        for family in Family::ALL.into_iter().filter(|family| *family != Family::Process) {
            lost[family as usize] -= self.before.lost[family as usize];
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::event::Kind;

    use super::*;

    fn records(times: &[u64]) -> Vec<u8> {
        times.iter().flat_map(|time| [time.to_ne_bytes(), [0; 8]].concat()).collect()
    }

    fn within(window: &mut Window, kind: Kind, times: &[u64]) -> Vec<u64> {
        let bytes = records(times);
        let parts = window.parts(Run::new(kind as u16, 16, &bytes));
        let time = |record: &[u8]| u64::from_ne_bytes(*record.first_chunk().expect("a time"));
        parts.flat_map(|run| run.records().map(time).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn what_was_seen_before_every_probe_was_attached_is_left_out() {
        let mut window = Window::new(10, Counters::ZERO);
        assert_eq!(within(&mut window, Kind::SwiotlbMapSingle, &[7, 9, 10, 11]), [10, 11]);
        assert_eq!(within(&mut window, Kind::SwiotlbMapSingle, &[12, 13]), [12, 13]);
        assert!(within(&mut window, Kind::TryToUnmap, &[8]).is_empty());
        window.close(14);
        assert_eq!(within(&mut window, Kind::SwiotlbMapSingle, &[14, 15]), [14]);
        let outside = [Family::Swiotlb, Family::Rmap, Family::Fork].map(|family| window.outside(family));
        assert_eq!(outside, [3, 1, 0]);
    }

    #[test]
    fn processes_are_known_from_the_first_moment() {
        let mut window = Window::new(10, Counters::ZERO);
        window.close(14);
        assert_eq!(within(&mut window, Kind::ProcessFork, &[3, 15]), [3, 15]);
        assert_eq!(window.outside(Family::Process), 0);
    }

    #[test]
    fn losses_before_are_none_of_the_session() {
        let mut before = Counters::ZERO;
        before.lost[Family::Swiotlb as usize] = 5;
        before.lost[Family::Process as usize] = 2;
        let mut totals = before;
        totals.lost[Family::Swiotlb as usize] = 6;
        let lost = Window::new(10, before).lost(&totals);
        assert_eq!((lost[Family::Swiotlb as usize], lost[Family::Process as usize]), (1, 2));
    }

    #[test]
    fn what_is_no_record_is_handed_on() {
        let mut window = Window::new(10, Counters::ZERO);
        assert_eq!(window.parts(Run::new(u16::MAX, 4, &[0; 4])).count(), 1);
    }
}
