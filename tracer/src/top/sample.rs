//! What came in an interval, on its way from a session to the screen.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::Error;
use crate::escape::escape;
use crate::event::{Event, Filter, Item, Sink, malformed};
use crate::kernel::{Description, PoolUse};
use crate::stat::text::{function, group};
use crate::stat::{Cell, Counts, Key, Label, Losses, Question, Reading};

/// An event of a group.
#[derive(Clone, Debug)]
pub struct Row {
    /// The event and the group.
    pub key: Key,
    /// Who or what the group is, safe to be printed; empty where events are not grouped.
    pub label: String,
    /// Functions of its stack, innermost first.
    pub frames: Vec<String>,
    /// What came in the interval.
    pub now: Cell,
    /// What came since the session began.
    pub all: Cell,
}

/// What was counted at the end of an interval.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Nanoseconds since the session began.
    pub at: u64,
    /// Nanoseconds of the interval.
    pub span: u64,
    /// Every group that was seen since the session began, in no order.
    pub rows: Vec<Row>,
    /// What is missing since it began.
    pub losses: Losses,
    /// How full the pools of bounce buffers are at its end; none where no event is about them.
    pub pools: Vec<PoolUse>,
}

/// Tells a session from another thread that it has to end.
#[derive(Debug, Default)]
pub struct Stop {
    hands_over: AtomicBool,
    reason: OnceLock<&'static str>,
}

impl Stop {
    /// The session ends, and its command goes on.
    pub fn hand_over(&self) {
        self.hands_over.store(true, Ordering::SeqCst);
        let _ = self.reason.set("another view is active");
    }

    /// The session ends, and its command with it, for the first reason that is given.
    pub fn end(&self, reason: &'static str) {
        self.hands_over.store(false, Ordering::SeqCst);
        let _ = self.reason.set(reason);
    }
}

/// The sink that makes samples.
pub struct Sampler<'a, F, P> {
    counts: Counts,
    begin: u64,
    pools: P,
    hand_on: F,
    stop: &'a Stop,
}

impl<'a, F: FnMut(Sample), P: FnMut() -> Vec<PoolUse>> Sampler<'a, F, P> {
    /// Hands each sample on, with what `pools` says at that time.
    pub fn new(question: Question, kernel: &Description, stop: &'a Stop, pools: P, hand_on: F) -> Self {
        Self { counts: Counts::new(question, Filter::default(), kernel), begin: 0, pools, hand_on, stop }
    }

    /// What was counted in all, as `stat` prints it.
    pub fn table(&self) -> Vec<u8> {
        self.counts.table()
    }

    fn sample(&mut self, at: u64) -> Sample {
        let all = self.counts.rows();
        let now = self.counts.since_last(&all);
        let sheet = self.counts.sheet(Vec::new(), None, 0);
        let rows = all.into_iter().zip(now).map(|((key, all), (_, now))| {
            let frames: Vec<String> = match sheet.label(&key) {
                Label::Stack(Some((_, frames))) => {
                    frames.iter().map(|frame| safe(&function(frame))).collect()
                }
                _ => Vec::new(),
            };
            let mut label = group(&sheet, &key);
            if !frames.is_empty() {
                label += &format!(" {}", frames.join(" < "));
            }
            Row { key, label, frames, now, all }
        });
        let rows = rows.collect();
        let span = at.saturating_sub(self.begin).max(1);
        self.begin = at;
        Sample { at, span, rows, losses: self.counts.losses(), pools: (self.pools)() }
    }
}

/// A text with nothing in it that changes the terminal.
pub(super) fn safe(text: &str) -> String {
    let mut out = Vec::new();
    escape(&mut out, text, false);
    String::from_utf8_lossy(&out).into_owned()
}

impl<F: FnMut(Sample), P: FnMut() -> Vec<PoolUse>> Sink for Sampler<'_, F, P> {
    fn record(&mut self, record: &[u8]) -> Result<(), Error> {
        self.item(&Event::decode(record).map_or_else(|_| malformed(), Item::Event))
    }

    fn item(&mut self, item: &Item) -> Result<(), Error> {
        // Records of a session that counts say who is who, and are not counted.
        self.counts.item(item);
        Ok(())
    }

    fn counts(&mut self, reading: &Reading) -> Result<(), Error> {
        self.counts.reading(reading);
        if reading.ends_interval {
            let sample = self.sample(reading.at);
            (self.hand_on)(sample);
        }
        Ok(())
    }

    fn enough(&self) -> Option<&'static str> {
        self.stop.reason.get().copied()
    }

    fn leaves_command(&self) -> bool {
        self.stop.hands_over.load(Ordering::SeqCst)
    }
}
