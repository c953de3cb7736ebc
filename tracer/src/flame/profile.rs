//! Events summed up by the way that led to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::Family;
use crate::event::{Weight, Weights};

/// Frames from the outermost: the thread's name, the kernel's functions, the probed function.
pub type Path = Box<[Arc<str>]>;

/// Events of one path.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    /// Their sums.
    pub weights: Weights,
    /// Sums of the squares of each event's nanoseconds, pages and bytes: how much the sums scatter.
    squares: [f64; 3],
}

impl Sum {
    /// That of one event.
    pub fn of(weights: Weights) -> Self {
        let square = |value: u64| (value as f64).powi(2);
        Self { weights, squares: [square(weights.time), square(weights.pages), square(weights.bytes)] }
    }

    /// Events of which nothing but their number is known.
    pub fn events(count: u64) -> Self {
        Self { weights: Weights { count, ..Weights::default() }, squares: [0.0; 3] }
    }

    /// Adds other events.
    pub fn add(&mut self, other: &Self) {
        self.weights.add(&other.weights);
        for (sum, other) in self.squares.iter_mut().zip(other.squares) {
            *sum += other;
        }
    }

    /// The sum of the squares of every event's weight.
    pub fn squares(&self, weight: Weight) -> f64 {
        match weight {
            Weight::Count => self.weights.count as f64,
            Weight::Time => self.squares[0],
            Weight::Pages => self.squares[1],
            Weight::Bytes => self.squares[2],
        }
    }
}

/// What one or several traces spent where.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// Sums by path, in the order of the frames' names.
    pub(super) sums: BTreeMap<Path, Sum>,
    /// Families of the probed functions, by name.
    pub(super) families: BTreeMap<Arc<str>, Family>,
    /// Events by each of the three losses, in the order of [`LossCause`](crate::event::LossCause).
    pub(super) missing: [u64; 3],
    /// Events whose stack the kernel could not keep or the stream does not have.
    pub(super) stackless: u64,
    /// Nanoseconds that were recorded.
    pub(super) duration: u64,
    /// What was recorded and where, for people.
    pub(super) origin: Vec<String>,
    /// Why the stream is not whole.
    pub(super) incomplete: Option<String>,
}

impl Profile {
    /// Adds another trace.
    pub fn merge(&mut self, other: Self) {
        for (path, sum) in other.sums {
            self.sums.entry(path).or_default().add(&sum);
        }
        self.families.extend(other.families);
        for (count, other) in self.missing.iter_mut().zip(other.missing) {
            *count = count.saturating_add(other);
        }
        self.stackless = self.stackless.saturating_add(other.stackless);
        self.duration = self.duration.saturating_add(other.duration);
        self.origin.extend(
            other.origin.into_iter().filter(|origin| !self.origin.contains(origin)).collect::<Vec<_>>(),
        );
        self.incomplete = self.incomplete.take().or(other.incomplete);
    }

    /// Sums of all events of the stream, those that were lost not among them; time is added up as tables do it, so
    /// that a probed function within another counts in both.
    pub fn totals(&self) -> Weights {
        let mut totals = Weights::default();
        self.sums.values().for_each(|sum| totals.add(&sum.weights));
        totals.count = totals.count.saturating_sub(self.events_missing());
        totals
    }

    /// Events that the stream has not, by what is known of them.
    pub fn events_missing(&self) -> u64 {
        self.missing.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Nanoseconds that were recorded.
    pub fn duration(&self) -> u64 {
        self.duration
    }

    /// What was recorded and where, and why that is not whole, in one line.
    pub fn title(&self) -> String {
        let incomplete = self.incomplete.iter().map(|reason| format!("not whole: {reason}"));
        self.origin.iter().cloned().chain(incomplete).collect::<Vec<_>>().join("; ")
    }

    /// Every path and what was summed up on it, in the order of the frames' names.
    pub fn paths(&self) -> impl Iterator<Item = (&[Arc<str>], &Sum)> {
        self.sums.iter().map(|(path, sum)| (&**path, sum))
    }

    /// What each path has for itself, none of it twice; paths without are left out. A probed function that another
    /// one called has its time only there; an event that the recording left out cannot be subtracted.
    pub fn own(&self, weight: Weight) -> Vec<(&[Arc<str>], u64)> {
        if weight != Weight::Time {
            let own = self.paths().map(|(path, sum)| (path, sum.weights.get(weight)));
            return own.filter(|(_, own)| *own > 0).collect();
        }
        let mut own: Vec<(&[Arc<str>], u64)> =
            self.paths().map(|(path, sum)| (path, sum.weights.time)).collect();
        // A path comes before those that it begins: backwards, each is whole when its caller's turn comes.
        let mut callers: Vec<usize> = Vec::new();
        let mut caller_of = vec![None; own.len()];
        for (index, (path, _)) in own.iter().enumerate() {
            while callers.last().is_some_and(|caller| !path.starts_with(own[*caller].0)) {
                callers.pop();
            }
            caller_of[index] = callers.last().copied();
            callers.push(index);
        }
        let mut inner = vec![0_u64; own.len()];
        for index in (0..own.len()).rev() {
            let whole = own[index].1.max(inner[index]);
            if let Some(caller) = caller_of[index] {
                inner[caller] = inner[caller].saturating_add(whole);
            }
            own[index].1 = whole - inner[index];
        }
        own.retain(|(_, own)| *own > 0);
        own
    }

    /// The same as lines of folded stacks: frames with `;` between them, and a number.
    pub fn folded(&self, weight: Weight) -> impl Iterator<Item = (String, u64)> {
        self.own(weight).into_iter().map(|(path, own)| (path.join(";"), own))
    }
}
