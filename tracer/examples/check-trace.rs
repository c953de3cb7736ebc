//! Measures the checker alone: `check-trace FILE [rule,…]` prints events per second and the peak of memory.

use std::error::Error;
use std::io::Write;

use rmapscope::check::{Checker, Options, Selection};
use rmapscope::trace_file::{Frame, Reader};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (path, rules) = match arguments.as_slice() {
        [path] => (path, Selection::all()),
        [path, rules] => (path, Selection::only(&rules.split(',').collect::<Vec<_>>())?),
        _ => return Err("usage: check-trace FILE [rule,…]".into()),
    };
    let mut reader = Reader::open(path)?;
    let mut checker = Checker::new(reader.header(), Options { rules, ..Options::default() });
    let begun = processor_time()?;
    while let Some(frame) = reader.next_frame()? {
        match frame {
            Frame::Events(mut events) => {
                while let Some(record) = events.next_record() {
                    checker.record(record);
                }
            }
            Frame::Items(items) => {
                for item in &items {
                    checker.item(item);
                }
            }
        }
    }
    let verdict = checker.finish(None);
    let seconds = (processor_time()? - begun) as f64 / 1e9;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    let events = verdict.subject.events;
    writeln!(
        std::io::stdout(),
        "{events} events in {seconds:.2} s of one CPU, {:.1} million events/s; {peak}",
        events as f64 / seconds / 1e6
    )?;
    for rule in &verdict.rules {
        writeln!(
            std::io::stdout(),
            "{:28} {:14} {} evaluated, {} violations",
            rule.name,
            rule.outcome.name(),
            rule.evaluated,
            rule.violations
        )?;
    }
    Ok(())
}

/// Nanoseconds that this thread has run: other work on the machine does not count.
fn processor_time() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}
