//! Makes a long trace file out of a short one, to measure readers with: `repeat-trace IN OUT EVENTS`.
//!
//! The events of IN follow each other again and again, later each time, until there are EVENTS of them.
//! Threads and stacks are written once, losses are left out, and the summary comes last.

use std::error::Error;

use rmapscope::event::{Event, Item};
use rmapscope::trace_file::{Reader, Writer};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, count] = arguments.as_slice() else {
        return Err("usage: repeat-trace IN OUT EVENTS".into());
    };
    let mut left: u64 = count.parse()?;
    let mut reader = Reader::open(input)?;
    let mut writer = Writer::create(output, reader.header())?;
    let mut events: Vec<Event> = Vec::new();
    let mut summary = None;
    while let Some(item) = reader.next_item()? {
        match item {
            Item::Event(event) => events.push(event),
            Item::Process(process) => writer.process(&process)?,
            Item::Stack(stack) => writer.stack(&stack)?,
            Item::Summary(last) => summary = Some(last),
            Item::Loss(_) => {}
        }
    }
    let times = events.iter().map(|event| event.header.time);
    let Some((first, last)) = times.clone().min().zip(times.max()) else {
        return Err("there is no event in the input".into());
    };
    let mut shift = 0;
    while left > 0 {
        for event in events.iter().take(usize::try_from(left)?) {
            let mut event = *event;
            event.header.time += shift;
            writer.event(&event)?;
        }
        left = left.saturating_sub(events.len() as u64);
        shift += last - first + 1;
    }
    if let Some(mut summary) = summary {
        summary.end += shift;
        writer.finish(&summary)?;
    }
    Ok(())
}
