//! How busy engines were between two looks.
//!
//! Counters may go backwards for a moment: "userspace is expected to stay with that larger previous value until a monotonic
//! update is seen" (drm-usage-stats.rst). So the larger value is kept, and what a dip takes back is not counted twice.

use std::collections::BTreeMap;

use super::fdinfo::{Engine, Fdinfo};

/// The only driver that leaves out engines which did nothing (6.12 drivers/gpu/drm/amd/amdgpu/amdgpu_fdinfo.c,
/// `amdgpu_show_fdinfo`): what comes later began at 0.
const LEAVES_OUT_ZEROS: &str = "amdgpu";

/// Most engines of a client that are followed, of all names that it ever had.
const MOST_ENGINES: usize = 2 * super::fdinfo::MOST_NAMES;

/// An engine, from one look to the next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EngineUse {
    /// The engine's name. Escape it.
    pub name: String,
    /// What it shows now.
    pub now: Engine,
    /// By how much its counter grew, nanoseconds or cycles; `None` when there is no earlier value.
    pub grew: Option<u64>,
    /// The part of the time in which it was busy, of all its identical engines together, from 0 to 1; `None` when that
    /// cannot be known.
    pub busy: Option<f64>,
}

/// What was odd in counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oddities {
    /// Counters that were smaller than before.
    pub backwards: u64,
    /// Engines that claim to have been busy for longer than the time that passed.
    pub clamped: u64,
}

/// The largest values that an engine's counters had.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    busy_ns: Option<u64>,
    cycles: Option<u64>,
    total_cycles: Option<u64>,
}

/// A client's counters, followed over looks.
#[derive(Clone, Debug, Default)]
pub struct EngineHistory {
    time: Option<u64>,
    engines: BTreeMap<String, Counters>,
}

impl EngineHistory {
    /// What its engines did since the look before; remembers this one.
    pub fn next(&mut self, fdinfo: &Fdinfo, time: u64, oddities: &mut Oddities) -> Vec<EngineUse> {
        let began = self.time.replace(time);
        let passed = began.map(|began| time.saturating_sub(began));
        let begins_at_0 = began.is_some() && fdinfo.driver.as_deref() == Some(LEAVES_OUT_ZEROS);
        let mut uses = Vec::new();
        for (name, now) in fdinfo.engines.iter().filter(|(_, engine)| engine.has_utilisation()) {
            let is_followed = self.engines.len() < MOST_ENGINES || self.engines.contains_key(name);
            let mut unfollowed = Counters::default();
            let known =
                if is_followed { self.engines.entry(name.clone()).or_default() } else { &mut unfollowed };
            if begins_at_0 && known.busy_ns.is_none() {
                known.busy_ns = Some(0);
            }
            let busy_ns = grow(&mut known.busy_ns, now.busy_ns, oddities);
            let cycles = grow(&mut known.cycles, now.cycles, oddities);
            let total = grow(&mut known.total_cycles, now.total_cycles, oddities);
            let capacity = now.capacity.map_or(1, |capacity| capacity.get());
            let whole = whole(now, passed, total).map(|whole| whole * capacity as f64);
            let grew = if now.busy_ns.is_some() { busy_ns } else { cycles };
            let busy = match (grew, whole) {
                (Some(0), _) => Some(0.0),
                (Some(grew), Some(whole)) if whole > 0.0 => Some(grew as f64 / whole),
                _ => None,
            };
            oddities.clamped += u64::from(busy.is_some_and(|busy| busy > 1.0));
            let busy = busy.map(|busy| busy.min(1.0));
            uses.push(EngineUse { name: name.clone(), now: now.clone(), grew, busy });
        }
        uses
    }
}

/// How much one engine's counter would grow if it were always busy.
fn whole(now: &Engine, passed: Option<u64>, total_cycles: Option<u64>) -> Option<f64> {
    if now.busy_ns.is_some() {
        return passed.map(|passed| passed as f64);
    }
    if now.total_cycles.is_some() {
        return total_cycles.map(|total| total as f64);
    }
    Some(passed? as f64 / 1e9 * now.max_hz? as f64)
}

/// By how much a counter grew, `None` without an earlier value; keeps the larger.
fn grow(known: &mut Option<u64>, now: Option<u64>, oddities: &mut Oddities) -> Option<u64> {
    let now = now?;
    let before = *known;
    *known = Some(before.map_or(now, |before| before.max(now)));
    oddities.backwards += u64::from(before.is_some_and(|before| now < before));
    before.map(|before| now.saturating_sub(before))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn next(counted: &mut EngineHistory, time: u64, text: &str) -> (Vec<EngineUse>, Oddities) {
        let mut oddities = Oddities::default();
        let uses = counted.next(&Fdinfo::parse(text.as_bytes()), time, &mut oddities);
        (uses, oddities)
    }

    /// The part that the one engine was busy, second after second, each with its text.
    fn busy(texts: &[&str]) -> Vec<Option<f64>> {
        let mut counted = EngineHistory::default();
        let seconds = (1_000_000_000..).step_by(1_000_000_000);
        seconds
            .zip(texts)
            .map(|(time, text)| next(&mut counted, time, text).0.first().and_then(|engine| engine.busy))
            .collect()
    }

    #[test]
    fn nanoseconds() {
        let texts = ["drm-engine-x: 5 ns", "drm-engine-x: 250000005 ns", "drm-engine-x: 250000005 ns"];
        assert_eq!(busy(&texts), [None, Some(0.25), Some(0.0)]);
        let texts = [
            "drm-engine-x: 0\ndrm-engine-capacity-x: 2",
            "drm-engine-x: 1000000000 ns\ndrm-engine-capacity-x: 2",
        ];
        assert_eq!(busy(&texts), [None, Some(0.5)]);
    }

    #[test]
    fn cycles_of_those_that_passed() {
        let texts =
            ["drm-cycles-x: 10\ndrm-total-cycles-x: 100", "drm-cycles-x: 40\ndrm-total-cycles-x: 200"];
        assert_eq!(busy(&texts), [None, Some(0.3)]);
        // Cycles, but no time in which: busy, nobody knows how much.
        let texts =
            ["drm-cycles-x: 10\ndrm-total-cycles-x: 100", "drm-cycles-x: 40\ndrm-total-cycles-x: 100"];
        assert_eq!(busy(&texts), [None, None]);
        let texts = ["drm-cycles-x: 10\ndrm-total-cycles-x: 100"; 2];
        assert_eq!(busy(&texts), [None, Some(0.0)]);
    }

    #[test]
    fn cycles_of_the_highest_frequency() {
        let texts =
            ["drm-cycles-x: 0\ndrm-maxfreq-x: 1 GHz", "drm-cycles-x: 500000000\ndrm-maxfreq-x: 1 GHz"];
        assert_eq!(busy(&texts), [None, Some(0.5)]);
        assert_eq!(busy(&["drm-cycles-x: 0", "drm-cycles-x: 5"]), [None, None]);
    }

    #[test]
    fn the_larger_value_is_kept_on_a_dip() {
        let texts = ["drm-engine-x: 100000000", "drm-engine-x: 90000000", "drm-engine-x: 200000000"];
        assert_eq!(busy(&texts), [None, Some(0.0), Some(0.1)]);
        let mut counted = EngineHistory::default();
        next(&mut counted, 1, "drm-engine-x: 9");
        assert_eq!(next(&mut counted, 2, "drm-engine-x: 8").1, Oddities { backwards: 1, clamped: 0 });
    }

    #[test]
    fn nobody_is_busier_than_time_passes() {
        let mut counted = EngineHistory::default();
        next(&mut counted, 0, "drm-engine-x: 0");
        let (uses, oddities) = next(&mut counted, 100, "drm-engine-x: 105");
        assert_eq!((uses[0].busy, oddities.clamped), (Some(1.0), 1));
    }

    #[test]
    fn an_engine_that_comes_later_is_measured_where_it_began_at_0() {
        let amdgpu = ["drm-driver: amdgpu", "drm-driver: amdgpu\ndrm-engine-gfx: 100000000 ns"];
        assert_eq!(busy(&amdgpu), [None, Some(0.1)]);
        let xe = ["drm-driver: xe", "drm-driver: xe\ndrm-cycles-rcs: 9\ndrm-total-cycles-rcs: 99"];
        assert_eq!(busy(&xe), [None, None]);
        // And one that is left out for a while goes on where it was.
        let texts = ["drm-engine-x: 100000000", "", "drm-engine-x: 200000000"];
        assert_eq!(busy(&texts), [None, None, Some(0.1)]);
    }

    proptest! {
        #[test]
        fn all_that_is_counted_is_the_rise_to_the_highest_value(
            values in prop::collection::vec(any::<u64>(), 1..20),
            times in prop::collection::vec(any::<u64>(), 20),
            capacity in 1_u64..5,
        ) {
            let mut counted = EngineHistory::default();
            let mut oddities = Oddities::default();
            let mut sum = 0_u64;
            for (value, time) in values.iter().zip(times) {
                let text = format!("drm-engine-x: {value} ns\ndrm-engine-capacity-x: {capacity}\n");
                for engine in counted.next(&Fdinfo::parse(text.as_bytes()), time, &mut oddities) {
                    sum += engine.grew.unwrap_or(0);
                    prop_assert!(engine.busy.is_none_or(|busy| (0.0..=1.0).contains(&busy)));
                }
            }
            let highest = values.iter().max().copied().unwrap_or(0);
            prop_assert_eq!(sum, highest - values[0]);
        }
    }
}
