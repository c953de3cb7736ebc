//! What readers make of a made-up history.

use std::io::Write;
use std::sync::{Arc, Mutex};

use rmapscope::event::{Filter, Sink};
use rmapscope::export::{Exporter, Format};
use rmapscope::report::aggregate::{Aggregator, Options};
use rmapscope::report::model::Report;
use rmapscope::trace_file::FileHeader;
use serde_json::Value;

use crate::check_world::History;

/// What was written, for who gave the writer away.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("one thread").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The report.
pub fn report(history: &History, header: &FileHeader) -> Report {
    let mut aggregator = Aggregator::new(header, Options::default());
    history.items().for_each(|item| aggregator.item(&item).expect("a report takes everything"));
    aggregator.finish(None)
}

/// The events of a timeline in Chrome's format.
pub fn timeline(history: &History, header: &FileHeader) -> Vec<Value> {
    let shared = Shared::default();
    let export = Format::Chrome.begin(header, Box::new(shared.clone())).expect("room");
    let mut exporter = Exporter::new(export, Filter::default(), header);
    history.items().for_each(|item| exporter.item(&item).expect("room"));
    exporter.finish(None).expect("room");
    let written = shared.0.lock().expect("one thread").clone();
    let mut timeline: Value = serde_json::from_slice(&written).expect("JSON");
    let Value::Array(events) = timeline["traceEvents"].take() else { panic!("a list of events") };
    events
}
