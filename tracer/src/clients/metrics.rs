//! What is known of all clients together, as OpenMetrics: sums by device, never by process or client, so that the number
//! of series is bounded by the hardware.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::look::Effort;
use super::state::State;
use super::track::{Seen, Sight};

/// What the text is, in HTTP.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Most series of a metric. What comes later is added to one of which every label is [`OTHER`].
const MOST_SERIES: usize = 256;
const OTHER: &str = "other";

/// Labels, values only.
type Labels<const COUNT: usize> = [String; COUNT];
type Series<const COUNT: usize> = BTreeMap<Labels<COUNT>, f64>;
/// Sums over all looks so far, and what the last one showed.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Seconds that an engine was busy: device, driver, engine.
    busy: Series<3>,
    /// Identical engines of that name, as the drivers say.
    capacity: Series<3>,
    /// Clients: device, driver, state.
    clients: Series<3>,
    /// Bytes: device, driver, region, kind.
    memory: Series<4>,
    looks: u64,
    effort: Effort,
    backwards: u64,
    clamped: u64,
}

impl Metrics {
    /// Adds a look.
    pub fn add(&mut self, sight: &Sight) {
        self.looks += 1;
        self.effort = sight.effort;
        self.backwards += sight.oddities.backwards;
        self.clamped += sight.oddities.clamped;
        self.clients.clear();
        self.memory.clear();
        self.capacity.clear();
        for seen in &sight.clients {
            let of = device(sight, seen);
            let with = |name: &str| [of[0].clone(), of[1].clone(), name.to_owned()];
            *place(&mut self.clients, with(seen.state.name())) += 1.0;
            for engine in &seen.engines {
                let capacity = engine.now.capacity.map_or(1, |capacity| capacity.get()) as f64;
                let most = place(&mut self.capacity, with(&engine.name));
                *most = most.max(capacity);
                let busy = engine.busy.zip(sight.passed);
                let seconds = busy.map(|(busy, passed)| busy * capacity * passed as f64 / 1e9);
                // Nothing is counted yet, which is what a counter begins with. What is not measured has none.
                let begins = (seen.state == State::FirstLook).then_some(0.0);
                if let Some(seconds) = seconds.or(begins) {
                    *place(&mut self.busy, with(&engine.name)) += seconds;
                }
            }
            let memory = seen.client.fdinfo.iter().flat_map(|fdinfo| &fdinfo.memory);
            for (region, memory) in memory {
                for (kind, bytes) in [
                    ("total", memory.total),
                    ("shared", memory.shared),
                    ("resident", memory.resident),
                    ("purgeable", memory.purgeable),
                    ("active", memory.active),
                ] {
                    if let Some(bytes) = bytes {
                        let [device, driver, region] = with(region);
                        *place(&mut self.memory, [device, driver, region, kind.to_owned()]) += bytes as f64;
                    }
                }
            }
        }
    }

    /// The text.
    ///
    /// # Errors
    /// Never: a string takes everything.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix("rmapscope");
        for metric in self.of_gpus() {
            registry.sub_registry_with_prefix("gpu").register_collector(Box::new(metric));
        }
        for metric in self.of_looks() {
            registry.sub_registry_with_prefix("clients").register_collector(Box::new(metric));
        }
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }

    fn of_gpus(&self) -> [Metric; 4] {
        let of_engine = ["device", "driver", "engine"];
        [
            Metric {
                name: "clients",
                help: "Clients at the last look, by what is known of them",
                unit: None,
                kind: MetricType::Gauge,
                rows: rows(&self.clients, ["device", "driver", "state"]),
            },
            Metric {
                name: "engine_busy",
                help: "Time that engines worked for clients seen at two looks",
                unit: Some(Unit::Seconds),
                kind: MetricType::Counter,
                rows: rows(&self.busy, of_engine),
            },
            Metric {
                name: "engine_capacity",
                help: "Identical engines of that name",
                unit: None,
                kind: MetricType::Gauge,
                rows: rows(&self.capacity, of_engine),
            },
            Metric {
                name: "memory",
                help: "Memory of clients at the last look; shared buffers count for each",
                unit: Some(Unit::Bytes),
                kind: MetricType::Gauge,
                rows: rows(&self.memory, ["device", "driver", "region", "kind"]),
            },
        ]
    }

    fn of_looks(&self) -> [Metric; 7] {
        let Effort { processes, denied, descriptors, time, .. } = self.effort;
        let gauge = |name, help, value: f64| Metric::single(name, help, MetricType::Gauge, value);
        let counter = |name, help, value: u64| Metric::single(name, help, MetricType::Counter, value as f64);
        let look = gauge("look", "Time that the last look took", time as f64 / 1e9);
        [
            Metric { unit: Some(Unit::Seconds), ..look },
            counter("looks", "Looks at all open files", self.looks),
            gauge("open_files", "Open files at the last look", descriptors as f64),
            gauge("processes", "Processes that were looked at", processes as f64),
            gauge("processes_denied", "Processes that may not be looked at", denied as f64),
            counter("counters_backwards", "Counters that were smaller than before", self.backwards),
            counter("clamped", "Engines that claimed more time than passed", self.clamped),
        ]
    }
}

/// A metric with its series, in order.
#[derive(Debug)]
struct Metric {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    kind: MetricType,
    rows: Vec<(Vec<(&'static str, String)>, f64)>,
}

impl Metric {
    /// One without labels.
    fn single(name: &'static str, help: &'static str, kind: MetricType, value: f64) -> Self {
        Self { name, help, unit: None, kind, rows: vec![(Vec::new(), value)] }
    }

    fn value(&self, mut encoder: MetricEncoder<'_>, value: f64) -> fmt::Result {
        match self.kind {
            MetricType::Counter => encoder.encode_counter::<NoLabelSet, f64, f64>(&value, None),
            _ => encoder.encode_gauge(&value),
        }
    }
}

impl Collector for Metric {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (help, unit) = (format!("{}.", self.help), self.unit.as_ref());
        let mut encoder = encoder.encode_descriptor(self.name, &help, unit, self.kind)?;
        for (labels, value) in &self.rows {
            self.value(encoder.encode_family(labels)?, *value)?;
        }
        Ok(())
    }
}

/// Node and driver of a client.
fn device(sight: &Sight, seen: &Seen) -> Labels<2> {
    let client = &seen.client;
    let node = sight.node(client).map_or_else(|| client.number.to_string(), str::to_owned);
    [node, sight.driver(client).unwrap_or_default().to_owned()]
}

fn place<const COUNT: usize>(series: &mut Series<COUNT>, labels: Labels<COUNT>) -> &mut f64 {
    let is_known = series.len() < MOST_SERIES || series.contains_key(&labels);
    let labels = if is_known { labels } else { std::array::from_fn(|_| OTHER.to_owned()) };
    series.entry(labels).or_default()
}

fn rows<const COUNT: usize>(
    series: &Series<COUNT>,
    names: [&'static str; COUNT],
) -> Vec<(Vec<(&'static str, String)>, f64)> {
    let row =
        |(labels, value): (&Labels<COUNT>, &f64)| (names.into_iter().zip(labels.clone()).collect(), *value);
    series.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_bounded() {
        let mut series = Series::<1>::new();
        for number in 0..1000 {
            *place(&mut series, [number.to_string()]) += 1.0;
        }
        assert_eq!(series.len(), MOST_SERIES + 1);
        assert_eq!(series[&[OTHER.to_owned()]], (1000 - MOST_SERIES) as f64);
        *place(&mut series, ["0".to_owned()]) += 1.0;
        assert_eq!(series[&["0".to_owned()]], 2.0);
    }
}
