//! The options that choose events and tasks, the same for every subcommand that has them, live or not.

use std::time::Duration;

use clap::Args;
use rmapscope::Error;
use rmapscope::event::{EventName, Family, Kind};
use rmapscope::suggest::unknown;

use super::values::{NamePattern, duration, name_pattern};

/// Which events.
#[derive(Args, Clone, Debug)]
pub struct EventArgs {
    /// Only these events or families; `-e list` prints all.
    #[arg(short, long, value_name = "NAME[,…]", value_delimiter = ',')]
    event: Vec<String>,
}

/// Whose events.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Filters")]
pub struct TaskArgs {
    /// Only these processes, with all their threads. Bounce buffers have no process; a live session always includes
    /// them.
    #[arg(short, long, value_name = "PID[,…]", value_delimiter = ',')]
    pub pid: Vec<u32>,
    /// Only these threads.
    #[arg(short, long, value_name = "TID[,…]", value_delimiter = ',')]
    pub tid: Vec<u32>,
    /// Only threads whose name matches (`*` and `?`); `!GLOB` excludes them, but not in `record` and `check`. Live, at
    /// most four.
    #[arg(short = 'n', long, value_name = "GLOB", value_parser = name_pattern)]
    pub comm: Vec<NamePattern>,
}

/// Which events, and whose; a live session chooses so in the kernel already.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Filters")]
pub struct ChoiceArgs {
    #[command(flatten)]
    pub events: EventArgs,
    #[command(flatten)]
    pub tasks: TaskArgs,
    /// Omit calls that took less than TIME (such as 50us) or were not measured; events that are not calls are kept.
    /// Live, this implies --latency.
    #[arg(long, value_name = "TIME", value_parser = duration, group = "ChoiceArgs")]
    pub min_latency: Option<Duration>,
}

/// What a live session traces, and whom.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Events and families; none for all.
    pub events: Vec<EventName>,
    /// Processes.
    pub pids: Vec<u32>,
    /// Threads.
    pub tids: Vec<u32>,
    /// Patterns of thread names.
    pub names: Vec<String>,
    /// Shortest call to report.
    pub min_latency: Option<Duration>,
}

impl EventArgs {
    /// Whether any are named.
    pub fn any(&self) -> bool {
        !self.event.is_empty()
    }

    /// The events and families; none for all. `None` when their names are asked for, with `list`.
    ///
    /// # Errors
    /// When a name is neither an event's nor a family's.
    pub fn chosen(&self) -> Result<Option<Vec<EventName>>, Error> {
        let mut names = self.event.iter().map(|name| name.trim()).filter(|name| !name.is_empty());
        if names.clone().any(|name| name == "list") {
            return Ok(None);
        }
        let chosen = names.try_fold(Vec::new(), |mut chosen, name| {
            chosen.push(EventName::from_name(name).ok_or_else(|| {
                unknown("event or family", name, EventName::names(), "`-e list` prints every event")
            })?);
            Ok(chosen)
        });
        chosen.map(Some)
    }
}

impl TaskArgs {
    /// These events of these tasks.
    pub fn choice(&self, events: Vec<EventName>) -> Choice {
        let names = self.comm.iter().map(NamePattern::to_string).collect();
        Choice { events, pids: self.pid.clone(), tids: self.tid.clone(), names, min_latency: None }
    }
}

impl ChoiceArgs {
    /// These `events`, which were [chosen](EventArgs::chosen), of these tasks.
    pub fn choice(&self, events: Vec<EventName>) -> Choice {
        Choice { min_latency: self.min_latency, ..self.tasks.choice(events) }
    }
}

/// What `-e list` prints: a line a family, then its events.
pub fn event_list() -> String {
    let mut text = String::new();
    for family in Family::ALL {
        text += family.name();
        text.push('\n');
        for kind in Kind::ALL.iter().filter(|kind| kind.family() == family) {
            text += &format!("    {}\n", kind.name());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_events() {
        let choose = |names: &[&str]| {
            EventArgs { event: names.iter().map(|name| (*name).to_owned()).collect() }.chosen()
        };
        assert_eq!(choose(&["", " "]).unwrap(), Some(Vec::new()));
        assert_eq!(choose(&["try_to_unman", "list"]).unwrap(), None);
        let chosen = choose(&["fork", " mlock_folio"]).unwrap();
        let named = [EventName::Family(Family::Fork), EventName::Event(Kind::MlockFolio)];
        assert_eq!(chosen.as_deref(), Some(&named[..]));
        let error = choose(&["try_to_unman"]).unwrap_err();
        assert_eq!(error.cause, "there is no event or family `try_to_unman`");
        assert_eq!(error.remedy, "did you mean `try_to_unmap`? `-e list` prints every event");
        assert!(event_list().contains("fork\n    copy_page_range\n"));
    }
}
