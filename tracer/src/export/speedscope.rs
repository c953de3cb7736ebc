//! The JSON of <https://www.speedscope.app>: one list of frames, and a profile for each weight that the trace has.

use std::collections::HashMap;
use std::io::{self, Write};

use serde::Serialize;

use crate::event::Weight;
use crate::flame::Profile;

const SCHEMA: &str = "https://www.speedscope.app/file-format-schema.json";

/// The file (file-format-schema.json of speedscope 1.25).
#[derive(Serialize)]
struct File<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    exporter: &'static str,
    name: String,
    #[serde(rename = "activeProfileIndex")]
    active_profile_index: usize,
    shared: Shared<'a>,
    profiles: Vec<Sampled>,
}

#[derive(Serialize)]
struct Shared<'a> {
    frames: Vec<Frame<'a>>,
}

#[derive(Serialize)]
struct Frame<'a> {
    name: &'a str,
}

/// A profile whose samples have no place in time.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sampled {
    r#type: &'static str,
    name: &'static str,
    unit: &'static str,
    start_value: u64,
    end_value: u64,
    /// Frames of each, outermost first, by their places in the list.
    samples: Vec<Vec<usize>>,
    weights: Vec<u64>,
}

/// speedscope's name of a unit; it has none for events and pages.
const fn unit(weight: Weight) -> &'static str {
    match weight {
        Weight::Count | Weight::Pages => "none",
        Weight::Time => "nanoseconds",
        Weight::Bytes => "bytes",
    }
}

const fn name(weight: Weight) -> &'static str {
    match weight {
        Weight::Count => "events",
        Weight::Time => "time in the probed functions",
        Weight::Pages => "pages",
        Weight::Bytes => "bytes",
    }
}

/// Writes a profile.
///
/// # Errors
/// When it cannot be written.
pub fn write(profile: &Profile, out: &mut impl Write) -> io::Result<()> {
    let mut frames = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut profiles = Vec::new();
    for weight in Weight::ALL {
        let own = profile.own(weight);
        if own.is_empty() && weight != Weight::Count {
            continue;
        }
        let samples = own.iter().map(|(path, _)| {
            let place = |name| {
                *places.entry(name).or_insert_with(|| {
                    frames.push(Frame { name });
                    frames.len() - 1
                })
            };
            path.iter().map(|name| &**name).map(place).collect()
        });
        let samples = samples.collect();
        let weights: Vec<u64> = own.iter().map(|(_, own)| *own).collect();
        profiles.push(Sampled {
            r#type: "sampled",
            name: name(weight),
            unit: unit(weight),
            start_value: 0,
            end_value: weights.iter().fold(0, |sum, own| sum.saturating_add(*own)),
            samples,
            weights,
        });
    }
    let file = File {
        schema: SCHEMA,
        exporter: concat!("rmapscope ", env!("CARGO_PKG_VERSION")),
        name: profile.title(),
        active_profile_index: 0,
        shared: Shared { frames },
        profiles,
    };
    serde_json::to_writer(&mut *out, &file)?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Filter, Sink, synthetic};
    use crate::flame::{Grouping, Profiler};
    use crate::trace_file::FileHeader;

    #[test]
    fn every_sum_is_that_of_the_folded_lines() {
        let header = FileHeader::new(synthetic::description());
        let mut profiler = Profiler::new(&header, Filter::default(), Grouping::Comm);
        synthetic::stream().iter().for_each(|item| profiler.item(item).unwrap());
        let profile = profiler.finish(None);
        let mut bytes = Vec::new();
        write(&profile, &mut bytes).unwrap();
        let file: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let frames = file["shared"]["frames"].as_array().unwrap();
        let units: Vec<_> = file["profiles"].as_array().unwrap().iter().map(|one| &one["unit"]).collect();
        assert_eq!(units, ["none", "nanoseconds", "none", "bytes"]);
        for (weight, written) in Weight::ALL.into_iter().zip(file["profiles"].as_array().unwrap()) {
            let folded: Vec<(String, u64)> = profile.folded(weight).collect();
            let samples = written["samples"].as_array().unwrap().iter();
            let read: Vec<(String, u64)> = samples
                .zip(written["weights"].as_array().unwrap())
                .map(|(sample, own)| {
                    let names = sample
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|place| frames[place.as_u64().unwrap() as usize]["name"].as_str().unwrap());
                    (names.collect::<Vec<_>>().join(";"), own.as_u64().unwrap())
                })
                .collect();
            assert_eq!(read, folded);
            assert_eq!(written["endValue"], folded.iter().map(|(_, own)| own).sum::<u64>());
        }
    }
}
