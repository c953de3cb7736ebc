//! Measures the report alone: `report-trace FILE` prints events per second and the peak of memory.

use std::error::Error;
use std::io::Write;

use rmapscope::report::aggregate::{Aggregator, Options};
use rmapscope::trace_file::Reader;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path] = arguments.as_slice() else { return Err("usage: report-trace FILE".into()) };
    let mut reader = Reader::open(path)?;
    let mut aggregator = Aggregator::new(reader.header(), Options::default());
    let begun = processor_time()?;
    let incomplete = reader.drive(&mut aggregator)?;
    let report = aggregator.finish(incomplete);
    let seconds = (processor_time()? - begun) as f64 / 1e9;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    let events = report.verdict.subject.events;
    writeln!(
        std::io::stdout(),
        "{events} events in {seconds:.2} s of one CPU, {:.1} million events/s; {peak}",
        events as f64 / seconds / 1e6
    )?;
    Ok(())
}

/// Nanoseconds that this thread has run: other work on the machine does not count.
fn processor_time() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}
