//! Events that are missing from the stream: how many, and when.

use std::collections::BTreeMap;

use tracer_common::family::Family;

use super::formats::words::plain;
use super::silence::Silences;
use crate::event::{Loss, LossCause, Summary, UnknownKinds};
use crate::probe::{AttachMethod, PointReport, Preference};
use crate::trace_file::FileHeader;

/// Most windows that are kept; more are merged, which makes more doubtful than needs to be.
const MOST: usize = 1 << 10;

/// A time in which events of a family are missing.
#[derive(Clone, Copy, Debug)]
struct Window {
    /// Bits of the families.
    families: u32,
    after: u64,
    before: u64,
}

/// Every loss of a stream.
#[derive(Debug, Default)]
pub struct Losses {
    /// By cause and family, the last column for losses of unknown family.
    counts: [[u64; Family::COUNT + 1]; 3],
    /// Of the dropped ones, those of kinds that this version does not know.
    unknown: UnknownKinds,
    /// The version that recorded.
    recorder: String,
    unpaired: [u64; Family::COUNT],
    windows: Vec<Window>,
    /// Bits of the families of which events are missing whose number is not known.
    gaps: u32,
    /// Bits of the families of which the kernel may have skipped programs without a count.
    uncounted: u32,
    /// Whether the session was asked for kprobes where trampolines would do.
    kprobes_wanted: bool,
    /// Whether the session was there before the work that it traced.
    has_command: bool,
}

const ALL_FAMILIES: u32 = (1 << Family::COUNT) - 1;

impl Losses {
    /// None yet, in a session with that header.
    pub fn new(header: &FileHeader) -> Self {
        let by_kprobe = |report: &&PointReport| {
            report.outcome.attached().is_some_and(|(_, method)| method == AttachMethod::Kprobe)
        };
        let families = header
            .probes
            .iter()
            .filter(by_kprobe)
            .filter_map(|report| Family::from_name(&report.family).map(|family| 1 << family as u32));
        let uncounted =
            if header.kernel.counts_skipped_kprobes { 0 } else { families.fold(0, |bits, bit| bits | bit) };
        Self {
            uncounted,
            recorder: header.program_version.clone(),
            kprobes_wanted: header.options.attach == Some(Preference::Kprobe),
            has_command: header.traced_command.is_some(),
            ..Self::default()
        }
    }

    /// Whether events of one of these families (bits by number) may be missing without a count: before 6.7 the
    /// kernel tells nobody which kprobe programs it skipped (6.1 kernel/trace/bpf_trace.c, trace_call_bpf).
    pub fn is_uncounted(&self, families: u32) -> bool {
        self.uncounted & families != 0
    }

    /// Takes a loss into account.
    pub fn add(&mut self, loss: &Loss) {
        let family = loss.family();
        let column = family.map_or(Family::COUNT, |family| family as usize);
        let count = &mut self.counts[loss.cause as usize][column];
        *count = count.saturating_add(loss.count);
        self.unknown.add(loss);
        // No rule needs what is of a family that this version does not know.
        if loss.is_of_new_family() {
            return;
        }
        let families = family.map_or(ALL_FAMILIES, |family| 1 << family as u32);
        // Why probes could not fire, the session's end says.
        if loss.count == 0 && loss.cause != LossCause::Missed {
            self.gaps |= families;
        }
        self.window(families, loss.after, loss.before);
    }

    fn window(&mut self, families: u32, after: u64, before: u64) {
        if self.windows.len() >= MOST
            && let Some(last) = self.windows.last_mut()
        {
            last.families |= families;
            last.after = last.after.min(after);
            last.before = last.before.max(before);
            return;
        }
        self.windows.push(Window { families, after, before });
    }

    /// Takes the session's own sums into account: they have what was noticed too late for a place in the
    /// stream.
    pub fn sum(&mut self, summary: &Summary) {
        for family in Family::ALL {
            let place = family as usize;
            let sum = |sums: &BTreeMap<String, u64>| sums.get(family.name()).copied().unwrap_or_default();
            let sums = [&summary.lost, &summary.missed, &summary.dropped].map(sum);
            for (counts, sum) in self.counts.iter_mut().zip(sums) {
                if sum > counts[place] {
                    counts[place] = sum;
                    self.windows.push(Window { families: 1 << place, after: 0, before: u64::MAX });
                }
            }
            self.unpaired[place] = sum(&summary.unpaired);
            if self.unpaired[place] > 0 {
                // Which call it was is not known.
                self.windows.push(Window { families: 1 << place, after: 0, before: u64::MAX });
            }
        }
    }

    /// Takes into account that attached probes could not fire.
    pub fn silences(&mut self, silences: &Silences) {
        for (families, after, before) in silences.windows() {
            self.windows.push(Window { families, after, before });
        }
    }

    /// Program runs of a family that the kernel skipped.
    pub fn missed(&self, family: Family) -> u64 {
        self.counts[LossCause::Missed as usize][family as usize]
    }

    /// Whether events of one of these families (bits by number) may be missing between two moments.
    pub fn touch(&self, families: u32, from: u64, to: u64) -> bool {
        self.is_uncounted(families) || self.noticed(families, from, to)
    }

    /// Whether events of one of these families are known to be missing between two moments.
    pub fn noticed(&self, families: u32, from: u64, to: u64) -> bool {
        let touches =
            |window: &Window| window.families & families != 0 && window.after <= to && window.before >= from;
        self.windows.iter().any(touches)
    }

    /// Counts for one cause by the families' names, `unknown` for the rest; families without are left out.
    pub fn by_name(&self, cause: LossCause) -> BTreeMap<String, u64> {
        let counts = &self.counts[cause as usize];
        let named = Family::ALL.into_iter().map(|family| (family.name(), counts[family as usize]));
        let named = named.chain([("unknown", counts[Family::COUNT])]);
        named.filter(|(_, count)| *count > 0).map(|(name, count)| (name.to_owned(), count)).collect()
    }

    /// How many of the dropped ones are of kinds that this version does not know, by their names.
    pub fn unknown_kinds(&self) -> BTreeMap<String, u64> {
        self.unknown.by_name()
    }

    /// The same for ends without a beginning and the reverse.
    pub fn unpaired(&self) -> BTreeMap<String, u64> {
        let counts = Family::ALL.into_iter().map(|family| (family, self.unpaired[family as usize]));
        counts
            .filter(|(_, count)| *count > 0)
            .map(|(family, count)| (family.name().to_owned(), count))
            .collect()
    }

    /// What is missing of these families (bits by number), one sentence each with the remedy.
    pub fn sentences(&self, families: u32) -> Vec<String> {
        let mut sentences = Vec::new();
        let wanted = || Family::ALL.into_iter().filter(move |family| families >> *family as u32 & 1 == 1);
        for (cause, verb, why) in [
            (LossCause::Lost, "lost", "the ring was full: a larger --buffer, or fewer events (-e, --rules)"),
            (
                LossCause::Missed,
                "missed",
                if self.kprobes_wanted {
                    "the kernel skipped the program in nested or simultaneous calls: drop --attach kprobe"
                } else {
                    "the kernel skipped the program in nested or simultaneous calls: fewer events (-e, --rules)"
                },
            ),
            (LossCause::Dropped, "dropped", "the file is damaged or from another version: record again"),
        ] {
            let mut counts = self.counts[cause as usize];
            if cause == LossCause::Dropped {
                let of_unknown_kinds = Family::ALL.into_iter().map(Some).chain([None]);
                for (count, family) in counts.iter_mut().zip(of_unknown_kinds) {
                    *count = count.saturating_sub(self.unknown.of_family(family));
                }
            }
            for family in wanted().filter(|family| counts[*family as usize] > 0) {
                let count = counts[family as usize];
                sentences.push(format!("{count} {} events were {verb}; {why}", family.name()));
            }
            let unknown = counts[Family::COUNT];
            if unknown > 0 && cause == LossCause::Missed {
                sentences.push(format!(
                    "{unknown} forks were missed: events of these children may be missing; {why}"
                ));
            } else if unknown > 0 {
                sentences.push(format!("{unknown} events of unknown kind were {verb}; {why}"));
            }
        }
        sentences.extend(self.unknown.sentence(families, &self.recorder).map(|sentence| plain(&sentence)));
        for family in wanted().filter(|family| self.unpaired[*family as usize] > 0) {
            let count = self.unpaired[family as usize];
            sentences.push(format!(
                "{count} calls of the {} family were seen only at entry or only at return: {}",
                family.name(),
                if self.has_command {
                    "watch fewer events (-e, --rules)"
                } else {
                    "attach before the work starts (`-- COMMAND`), or watch fewer events (-e, --rules)"
                }
            ));
        }
        if self.gaps & families != 0 && sentences.is_empty() {
            sentences.push("an unknown number of events is missing; record again".to_owned());
        }
        sentences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(family: Option<Family>, count: u64, after: u64, before: u64) -> Loss {
        Loss {
            cause: LossCause::Lost,
            family: family.map(|family| family as u8),
            count,
            after,
            before,
            kind: None,
        }
    }

    #[test]
    fn windows_touch_by_family_and_time() {
        let mut losses = Losses::default();
        losses.add(&loss(Some(Family::Swiotlb), 3, 10, 20));
        let swiotlb = 1 << Family::Swiotlb as u32;
        assert!(losses.touch(swiotlb, 5, 10) && losses.touch(swiotlb, 20, 30));
        assert!(!losses.touch(swiotlb, 21, 30) && !losses.touch(1 << Family::Rmap as u32, 0, 100));
        losses.add(&loss(None, 1, 50, 60));
        assert!(losses.touch(1 << Family::Rmap as u32, 55, 55));
        assert_eq!(
            losses.by_name(LossCause::Lost).into_iter().collect::<Vec<_>>(),
            [("swiotlb".to_owned(), 3), ("unknown".to_owned(), 1)]
        );
    }

    #[test]
    fn the_summary_adds_what_came_too_late() {
        let mut losses = Losses::default();
        let fork = 1 << Family::Fork as u32;
        assert!(losses.sentences(fork).is_empty());
        losses.sum(&Summary { unpaired: [("fork".to_owned(), 2)].into(), ..Summary::default() });
        assert!(losses.touch(fork, 7, 7));
        assert_eq!(losses.sentences(fork).len(), 1);
        assert!(losses.sentences(1).is_empty());
    }

    #[test]
    fn remedies_name_nothing_that_is_done_already() {
        let mut header = FileHeader::new(crate::kernel::Description::default());
        let sentences = |header: &FileHeader| {
            let mut losses = Losses::new(header);
            losses.add(&Loss { cause: LossCause::Missed, ..loss(Some(Family::Rmap), 3, 10, 20) });
            losses.sum(&Summary { unpaired: [("rmap".to_owned(), 2)].into(), ..Summary::default() });
            losses.sentences(1 << Family::Rmap as u32).join("; ")
        };
        let said = sentences(&header);
        assert!(!said.contains("--attach") && said.contains("-- COMMAND"), "{said}");
        header.options.attach = Some(Preference::Kprobe);
        header.traced_command = Some(vec!["true".to_owned()]);
        let said = sentences(&header);
        assert!(said.contains("drop --attach kprobe") && !said.contains("-- COMMAND"), "{said}");
    }

    #[test]
    fn a_gap_concerns_its_family_only() {
        let mut losses = Losses::default();
        losses.add(&Loss { cause: LossCause::Dropped, ..loss(Some(Family::Fork), 0, 10, 20) });
        assert_eq!(losses.sentences(1 << Family::Fork as u32).len(), 1);
        assert!(losses.sentences(1 << Family::Rmap as u32).is_empty());
    }

    #[test]
    fn many_windows_are_merged() {
        let mut losses = Losses::default();
        for time in 0..5000 {
            losses.add(&loss(Some(Family::Fork), 1, time * 10, time * 10 + 1));
        }
        assert_eq!(losses.windows.len(), MOST);
        assert!(losses.touch(1 << Family::Fork as u32, 49_990, 49_990));
    }
}
