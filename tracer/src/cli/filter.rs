//! The options that choose events after they were read, the same for every subcommand that reads.

use std::time::Duration;

use clap::Args;
use rmapscope::event::{Filter, Selection};

use super::session_args::Choice;
use super::values::{NamePattern, duration, name_pattern, nanoseconds};

/// Which events to take; what is given more than once or as a list is an "or", different options are an
/// "and".
#[derive(Debug, Args)]
#[command(next_help_heading = "Filters")]
pub struct FilterArgs {
    /// Only events of these families or events; `-e list` prints all.
    #[arg(short, long = "event", value_name = "NAME[,…]", value_delimiter = ',')]
    pub event: Vec<String>,
    /// Only events in the context of these processes.
    #[arg(short, long, value_name = "PID[,…]", value_delimiter = ',')]
    pid: Vec<u32>,
    /// Only events in the context of these threads.
    #[arg(short, long, value_name = "TID[,…]", value_delimiter = ',')]
    tid: Vec<u32>,
    /// Only events in the context of threads with such a name (`*` and `?`); `!GLOB` leaves them out.
    #[arg(short = 'n', long, value_name = "GLOB", value_parser = name_pattern)]
    comm: Vec<NamePattern>,
    /// Leave out calls that took less than TIME (such as 50us) or were not measured; events that are no
    /// calls stay.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    min_latency: Option<Duration>,
    /// Leave out what came earlier than TIME after the first event.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    from: Option<Duration>,
    /// Leave out what came later than TIME after the first event.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    to: Option<Duration>,
}

impl FilterArgs {
    /// The part of it that a live session does in the kernel.
    pub fn choice(&self) -> Choice {
        let names = self.comm.iter().filter(|name| !name.denies).map(|name| name.text.clone()).collect();
        Choice {
            events: self.event.clone(),
            pids: self.pid.clone(),
            tids: self.tid.clone(),
            names,
            min_latency: self.min_latency,
        }
    }

    /// The part of it that is left to do when a live session did [its part](Self::choice). Records that tell
    /// who is who come with every session, and are printed only when asked for.
    pub fn rest(&self, selection: Selection) -> Filter {
        let Filter { denied, from, to, .. } = self.filter(selection);
        Filter { selection, denied, from, to, ..Filter::default() }
    }

    /// The options as they can be given again; `None` when there are none. Of a `live` session only those that are
    /// [left to do](Self::rest), because of the others nothing was seen.
    pub fn text(&self, live: bool) -> Option<String> {
        let mut words = Vec::new();
        let list = |numbers: &[u32]| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        if !live {
            let lists = [("-e", self.event.join(",")), ("-p", list(&self.pid)), ("-t", list(&self.tid))];
            words.extend(
                lists.into_iter().filter(|(_, list)| !list.is_empty()).map(|(o, l)| format!("{o} {l}")),
            );
        }
        for pattern in self.comm.iter().filter(|pattern| pattern.denies || !live) {
            words.push(format!("-n '{}{}'", if pattern.denies { "!" } else { "" }, pattern.text));
        }
        let min_latency = self.min_latency.filter(|_| !live);
        for (name, time) in [("--min-latency", min_latency), ("--from", self.from), ("--to", self.to)] {
            words.extend(time.map(|time| format!("{name} {time:?}")));
        }
        (!words.is_empty()).then(|| words.join(" "))
    }

    /// The filter for these options and the events that [`event`](Self::event) chose.
    pub fn filter(&self, selection: Selection) -> Filter {
        let patterns = |denies| {
            self.comm.iter().filter(move |name| name.denies == denies).map(|name| name.glob).collect()
        };
        Filter {
            selection,
            pids: self.pid.clone(),
            tids: self.tid.clone(),
            allowed: patterns(false),
            denied: patterns(true),
            min_latency: self.min_latency.map_or(0, nanoseconds),
            from: self.from.map_or(0, nanoseconds),
            to: self.to.map_or(u64::MAX, nanoseconds),
        }
    }
}
