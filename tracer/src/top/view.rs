//! What is counted, and of whom.

use crate::event::{Family, Kind};
use crate::stat::{By, GroupKey, Key, Of, Question};

/// A process or thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// A process, with all its threads.
    Process(u32, String),
    /// A thread.
    Thread(u32, String),
}

/// What a session counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// How it is grouped, and what is summed up.
    pub question: Question,
    /// Only this event.
    pub event: Option<Kind>,
    /// Only this process or thread, beside what the command line chooses.
    pub task: Option<Task>,
}

impl View {
    /// Everything that the command line chooses.
    pub const fn new(question: Question) -> Self {
        Self { question, event: None, task: None }
    }

    /// What it is, in words.
    pub fn words(&self) -> String {
        let mut words = format!("by {}", self.question.by.name());
        if let Some(of) = self.question.of {
            words += &format!(", {}", of.name());
        }
        if let Some(event) = self.event {
            words += &format!(", of {}", event.name());
        }
        match &self.task {
            Some(Task::Process(_, name)) => words += &format!(", process {name}"),
            Some(Task::Thread(_, name)) => words += &format!(", thread {name}"),
            None => {}
        }
        words
    }

    /// The same of the event of a row alone, and of its process or thread where it is grouped so. Bounce buffers belong to
    /// devices: sessions do not choose them by process.
    pub fn narrowed(&self, key: &Key, label: &str) -> Self {
        let task = match (key.group, self.question.by) {
            (GroupKey::Number(id), By::Process) => Some(Task::Process(id as u32, label.to_owned())),
            (GroupKey::Number(id), By::Thread) => Some(Task::Thread(id as u32, label.to_owned())),
            _ => None,
        };
        let task = task.filter(|_| key.kind.family() != Family::Swiotlb);
        Self { event: Some(key.kind), task: task.or_else(|| self.task.clone()), ..self.clone() }
    }

    /// Groupings that say something of these events.
    pub fn groupings(kinds: &[Kind]) -> Vec<By> {
        let says =
            |by: &By| !matches!(by, By::Field(_)) || kinds.iter().any(|kind| by.field(*kind).is_some());
        let first = ["event", "process", "thread", "name", "cpu", "stack", "device", "pool"];
        let others = By::names().filter(|name| !first.contains(name));
        first.into_iter().chain(others).filter_map(By::from_name).filter(says).collect()
    }

    /// Values that some of these events have; first of all none.
    pub fn values(kinds: &[Kind]) -> Vec<Option<Of>> {
        let values = Of::names().filter_map(Of::from_name).filter(|of| of.is_of_any(kinds));
        std::iter::once(None).chain(values.map(Some)).collect()
    }
}
