//! Which events a stream may lack although their probes were attached.

use tracer_common::event::Kind;
use tracer_common::family::Family;

use super::{SilentProbes, expectations};
use crate::event::{Silence, Summary};
use crate::probe::PointReport;

/// Everything that kept attached probes from firing, as far as the session noticed or its hits show.
#[derive(Clone, Debug, Default)]
pub struct Silences {
    list: Vec<Told>,
}

#[derive(Clone, Debug)]
struct Told {
    silence: Silence,
    /// Why and when.
    sentence: String,
    kinds: Vec<Kind>,
    /// Bits of the families.
    families: u32,
}

impl Silences {
    /// Those of a session with these probes and that end.
    pub fn new(probes: &[PointReport], possible_cpus: u32, summary: &Summary) -> Self {
        let mut list: Vec<Told> =
            summary.silenced.iter().map(|silence| told(probes, silence.clone(), summary)).collect();
        // What could not fire has been told; that it did not fire then proves nothing more.
        let expected = expectations::silent(probes, possible_cpus, summary);
        let is_known = |silence: &Silence| {
            list.iter().any(|told| silence.points.iter().all(|point| told.silence.points.contains(point)))
        };
        let news: Vec<Silence> = expected.into_iter().filter(|silence| !is_known(silence)).collect();
        list.extend(news.into_iter().map(|silence| told(probes, silence, summary)));
        Self { list }
    }

    /// Why events of that kind may be missing, and what helps.
    pub fn of_kind(&self, kind: Kind) -> Option<(&str, &str)> {
        let told = self.list.iter().find(|told| told.kinds.contains(&kind))?;
        Some((&told.sentence, &told.silence.remedy))
    }

    /// Bits of the families, and the times between which their events may be missing.
    pub fn windows(&self) -> impl Iterator<Item = (u32, u64, u64)> {
        self.list.iter().map(|told| (told.families, told.silence.after, told.silence.before))
    }

    /// In words, for every output.
    pub fn told(&self) -> Vec<SilentProbes> {
        let told = self.list.iter().map(|told| SilentProbes {
            reason: told.sentence.clone(),
            remedy: told.silence.remedy.clone(),
            points: told.silence.points.clone(),
        });
        told.collect()
    }
}

fn told(probes: &[PointReport], silence: Silence, summary: &Summary) -> Told {
    let silent = |report: &&PointReport| silence.points.contains(&report.point);
    let kinds = probes.iter().filter(silent).flat_map(PointReport::kinds).collect();
    let families = probes.iter().filter(silent).filter_map(|report| Family::from_name(&report.family));
    let families = families.fold(0, |bits, family| bits | 1 << family as u32);
    Told { sentence: silence.sentence(summary), silence, kinds, families }
}
