//! What is to be seen: rows and their order, and what was typed.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::menu::Menu;
use super::order::Column;
use super::sample::Sample;
use super::view::View;
use crate::event::Kind;
use crate::stat::{Key, Losses};

/// Intervals of which each row's count is kept.
const HISTORY: usize = 60;
/// Views that one can go back to.
const MOST_VIEWS: usize = 32;

/// Whether there is something to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The probes of this view are being attached.
    Attaching,
    /// It counts.
    Counting,
    /// It counts, and what is shown stands still.
    Paused,
    /// The last session ends.
    Ending,
}

/// What is on the screen, and takes the keys.
#[derive(Clone, Debug)]
pub enum Mode {
    /// The table.
    Table,
    /// The keys.
    Help,
    /// What is known of one row.
    Details,
    /// The filter is typed.
    Typing,
    /// A choice.
    Menu(Menu),
}

/// Everything that the screen shows.
#[derive(Clone, Debug)]
pub struct Model {
    /// What counts, and what did before.
    pub(super) views: Vec<View>,
    /// Events of the command line.
    pub(super) kinds: Vec<Kind>,
    /// How often numbers come, as it is shown.
    pub(super) every: String,
    /// Whether something counts.
    pub state: State,
    /// What takes the keys.
    pub mode: Mode,
    /// One line for the user, until the next key.
    pub message: Option<String>,
    /// How many probes are attached, and what cannot be seen although they are.
    pub(super) probes: String,
    pub(super) notes: Vec<String>,
    data: Data,
    /// What is shown instead while paused.
    frozen: Option<Data>,
    pub(super) sort: Column,
    pub(super) reversed: bool,
    pub(super) filter: String,
    /// Rates and values since the session began, instead of the last interval's.
    pub(super) whole: bool,
    /// Of the row that is pointed at; the first one without it.
    pub(super) selected: Option<Key>,
}

#[derive(Clone, Debug, Default)]
struct Data {
    sample: Sample,
    history: FxHashMap<Key, VecDeque<u64>>,
    /// Slots in use of each pool, by its name.
    pools: FxHashMap<String, VecDeque<u64>>,
    intervals: usize,
}

impl Model {
    /// Nothing was counted yet.
    pub fn new(view: View, kinds: Vec<Kind>, every: String) -> Self {
        Self {
            views: vec![view],
            kinds,
            every,
            state: State::Attaching,
            mode: Mode::Table,
            message: None,
            probes: String::new(),
            notes: Vec::new(),
            data: Data::default(),
            frozen: None,
            sort: Column::Rate,
            reversed: false,
            filter: String::new(),
            whole: false,
            selected: None,
        }
    }

    /// What is to be counted.
    pub fn view(&self) -> &View {
        // There is always one: the first is never taken away.
        &self.views[self.views.len() - 1]
    }

    /// Another view is to be counted; nothing is known of it yet.
    pub fn attach(&mut self, view: View) {
        if self.views.len() == MOST_VIEWS {
            self.views.remove(1);
        }
        self.views.push(view);
        self.begin();
    }

    /// The view before this one is to be counted again. Whether there is one.
    pub fn go_back(&mut self) -> bool {
        let has_one = self.views.len() > 1;
        if has_one {
            self.views.pop();
            self.begin();
        }
        has_one
    }

    fn begin(&mut self) {
        self.state = State::Attaching;
        self.mode = Mode::Table;
        self.data = Data::default();
        (self.frozen, self.selected) = (None, None);
        if !self.columns().contains(&self.sort) {
            self.sort = Column::Rate;
        }
    }

    /// So many probes are attached, and that is to be known of them.
    pub fn attached(&mut self, attached: usize, asked: usize, notes: Vec<String>) {
        self.state = State::Counting;
        self.probes = format!("{attached}/{asked} probes");
        self.notes = notes;
    }

    /// Takes what came in an interval.
    pub fn take(&mut self, sample: Sample) {
        let data = &mut self.data;
        for row in &sample.rows {
            // A group that was not there before had nothing.
            let missing = data.intervals.min(HISTORY);
            let history = data.history.entry(row.key).or_insert_with(|| vec![0; missing].into());
            if history.len() == HISTORY {
                history.pop_front();
            }
            history.push_back(row.now.count);
        }
        for pool in &sample.pools {
            let history = data.pools.entry(pool.name.clone()).or_default();
            if history.len() == HISTORY {
                history.pop_front();
            }
            history.push_back(pool.used);
        }
        data.intervals += 1;
        data.sample = sample;
    }

    /// Lets what is shown stand still, or go on.
    pub fn pause(&mut self) {
        match self.state {
            State::Counting => {
                self.frozen = Some(self.data.clone());
                self.state = State::Paused;
            }
            State::Paused => {
                self.frozen = None;
                self.state = State::Counting;
            }
            State::Attaching | State::Ending => {}
        }
    }

    fn data(&self) -> &Data {
        self.frozen.as_ref().unwrap_or(&self.data)
    }

    /// The sample that is shown.
    pub fn sample(&self) -> &Sample {
        &self.data().sample
    }

    /// What is missing: of now, also while what is shown stands still.
    pub fn losses(&self) -> &Losses {
        &self.data.sample.losses
    }

    /// Counts of the last intervals of a row, the oldest first.
    pub fn history(&self, key: &Key) -> impl ExactSizeIterator<Item = u64> {
        self.data().history.get(key).map(VecDeque::iter).unwrap_or_default().copied()
    }

    /// Slots in use of a pool at the end of the last intervals, the oldest first.
    pub fn pool_history(&self, name: &str) -> impl ExactSizeIterator<Item = u64> {
        self.data().pools.get(name).map(VecDeque::iter).unwrap_or_default().copied()
    }

    /// Whether any interval has ended.
    pub fn has_sample(&self) -> bool {
        self.data().intervals > 0
    }
}
