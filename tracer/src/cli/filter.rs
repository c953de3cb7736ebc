//! The options that choose events after they were read, the same for every subcommand that reads.

use std::time::Duration;

use clap::Args;
use rmapscope::Error;
use rmapscope::event::{EventName, Filter, Selection};

use super::choice::{Choice, ChoiceArgs};
use super::values::{duration, nanoseconds};

/// Which events to take; repeated options and lists are combined with "or", different options with "and".
///
/// Of a struct with others in it clap leaves the group empty: its own options say that they are in it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Filters")]
pub struct FilterArgs {
    #[command(flatten)]
    choice: ChoiceArgs,
    /// Omit events earlier than TIME after the first event.
    #[arg(long, value_name = "TIME", value_parser = duration, group = "FilterArgs")]
    from: Option<Duration>,
    /// Omit events later than TIME after the first event.
    #[arg(long, value_name = "TIME", value_parser = duration, group = "FilterArgs")]
    to: Option<Duration>,
}

impl FilterArgs {
    /// The events to take; `None` when a list of them is asked for.
    ///
    /// # Errors
    /// When a name is neither an event's nor a family's.
    pub fn events(&self) -> Result<Option<Vec<EventName>>, Error> {
        self.choice.events.chosen()
    }

    /// The part of it that a live session does in the kernel.
    pub fn choice(&self, events: Vec<EventName>) -> Choice {
        let allowed = self.choice.tasks.comm.iter().filter(|pattern| !pattern.denies);
        Choice { names: allowed.map(|pattern| pattern.text.clone()).collect(), ..self.choice.choice(events) }
    }

    /// The part of it that is left to do when a live session did [its part](Self::choice). Records that tell
    /// who is who come with every session, and are printed only when asked for.
    pub fn rest(&self, selection: Selection) -> Filter {
        let Filter { denied, from, to, .. } = self.filter(selection);
        Filter { selection, denied, from, to, ..Filter::default() }
    }

    /// The options as they can be given again; `None` when there are none. Of a `live` session only those that are
    /// [left to do](Self::rest), because of the others nothing was seen.
    pub fn text(&self, events: &[EventName], live: bool) -> Option<String> {
        let ChoiceArgs { tasks, min_latency, .. } = &self.choice;
        let mut words = Vec::new();
        let list = |numbers: &[u32]| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        if !live {
            let events = events.iter().map(|event| event.name()).collect::<Vec<_>>().join(",");
            let lists = [("-e", events), ("-p", list(&tasks.pid)), ("-t", list(&tasks.tid))];
            words.extend(
                lists.into_iter().filter(|(_, list)| !list.is_empty()).map(|(o, l)| format!("{o} {l}")),
            );
        }
        for pattern in tasks.comm.iter().filter(|pattern| pattern.denies || !live) {
            words.push(format!("-n '{pattern}'"));
        }
        let min_latency = min_latency.filter(|_| !live);
        for (name, time) in [("--min-latency", min_latency), ("--from", self.from), ("--to", self.to)] {
            words.extend(time.map(|time| format!("{name} {time:?}")));
        }
        (!words.is_empty()).then(|| words.join(" "))
    }

    /// The filter for these options and the [events](Self::events) to take.
    pub fn filter(&self, selection: Selection) -> Filter {
        let ChoiceArgs { tasks, min_latency, .. } = &self.choice;
        let patterns = |denies| {
            tasks.comm.iter().filter(move |name| name.denies == denies).map(|name| name.glob).collect()
        };
        Filter {
            selection,
            pids: tasks.pid.clone(),
            tids: tasks.tid.clone(),
            allowed: patterns(false),
            denied: patterns(true),
            min_latency: min_latency.map_or(0, nanoseconds),
            from: self.from.map_or(0, nanoseconds),
            to: self.to.map_or(u64::MAX, nanoseconds),
        }
    }
}
