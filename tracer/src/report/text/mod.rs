//! The report for people: what a person who debugs wants first comes first.
//!
//! [`render`] is a function of the report and of the [`Layout`] alone. Names that a process, a device or a command
//! line chose are escaped, as in every output.

mod bars;
mod bounces;
mod device_memory;
mod distributions;
mod exclusive;
mod fork;
mod grid;
mod head;
mod layout;
mod losses;
mod pages;
mod stacks;
mod tables;
mod timeline;
pub mod units;
mod verdict;

pub use layout::Layout;
use layout::{DIM, Page};

use crate::check::formats::words::plain;
use crate::event::Weight;
use crate::report::model::Report;

/// A part of the report that can be asked for by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Rules that are violated or inconclusive.
    Verdict,
    /// Trouble explained.
    Diagnoses,
    /// The table that `--by` asked for.
    By,
    /// Counts, rates and quantiles of each event.
    Events,
    /// By process.
    Processes,
    /// By device.
    Devices,
    /// Events over time.
    Timeline,
    /// Histograms of time.
    Latency,
    /// Histograms of VMAs visited.
    Walks,
    /// The stacks with the most events.
    Stacks,
    /// Hot pages and those that go back and forth.
    Pages,
    /// Device-exclusive residency.
    Exclusive,
    /// What moved to devices and back.
    DeviceMemory,
    /// Cost of fork.
    Fork,
    /// Bounce buffers.
    Swiotlb,
    /// What is missing, and where.
    Losses,
}

impl Section {
    /// Every one, in the order of the text.
    pub const ALL: [Self; 16] = [
        Self::Verdict,
        Self::Diagnoses,
        Self::By,
        Self::Events,
        Self::Processes,
        Self::Devices,
        Self::Timeline,
        Self::Latency,
        Self::Walks,
        Self::Stacks,
        Self::Pages,
        Self::Exclusive,
        Self::DeviceMemory,
        Self::Fork,
        Self::Swiotlb,
        Self::Losses,
    ];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verdict => "verdict",
            Self::Diagnoses => "diagnoses",
            Self::By => "by",
            Self::Events => "events",
            Self::Processes => "processes",
            Self::Devices => "devices",
            Self::Timeline => "timeline",
            Self::Latency => "latency",
            Self::Walks => "walks",
            Self::Stacks => "stacks",
            Self::Pages => "pages",
            Self::Exclusive => "exclusive",
            Self::DeviceMemory => "device-memory",
            Self::Fork => "fork",
            Self::Swiotlb => "swiotlb",
            Self::Losses => "losses",
        }
    }

    fn write(self, report: &Report, sort: Weight, page: &mut Page) -> Shown {
        match self {
            Self::Verdict => verdict::rules(report, page),
            Self::Diagnoses => verdict::diagnoses(report, page),
            Self::By => tables::by(report, sort, page),
            Self::Events => tables::events(report, sort, page),
            Self::Processes => tables::processes(report, sort, page),
            Self::Devices => tables::devices(report, sort, page),
            Self::Timeline => timeline::write(report, page),
            Self::Latency => distributions::latencies(report, page),
            Self::Walks => distributions::walks(report, page),
            Self::Stacks => stacks::write(report, sort, page),
            Self::Pages => pages::write(report, page),
            Self::Exclusive => exclusive::write(report, page),
            Self::DeviceMemory => device_memory::write(report, page),
            Self::Fork => fork::write(report, page),
            Self::Swiotlb => bounces::write(report, page),
            Self::Losses => losses::write(report, page),
        }
    }
}

/// What became of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// It is there.
    Yes,
    /// There is nothing to say, and nobody has to be told so.
    Nothing,
    /// There is nothing to say, for this reason.
    Empty(&'static str),
}

/// Reason for sections that need events.
const NO_EVENT: Shown = Shown::Empty("no such event");

/// The report as text, ended by a line feed. Tables are sorted by `sort` already; their titles say so.
pub fn render(report: &Report, sections: &[Section], sort: Weight, layout: Layout) -> String {
    let mut page = Page::new(layout);
    head::write(report, &mut page);
    let mut empty: Vec<(&'static str, Vec<&'static str>)> = Vec::new();
    for section in Section::ALL.into_iter().filter(|section| sections.contains(section)) {
        if let Shown::Empty(reason) = section.write(report, sort, &mut page) {
            match empty.iter_mut().find(|(other, _)| *other == reason) {
                Some((_, names)) => names.push(section.name()),
                None => empty.push((reason, vec![section.name()])),
            }
        }
    }
    if !empty.is_empty() {
        let parts: Vec<String> =
            empty.iter().map(|(reason, names)| format!("{} ({reason})", names.join(", "))).collect();
        page.blank();
        page.prose(DIM, 0, &format!("left out: {}", parts.join("; ")));
    }
    page.finish()
}

/// Nanoseconds that rates are over: the session, as far as its end is known.
fn duration(report: &Report) -> u64 {
    match report.verdict.subject.duration {
        0 => report.span,
        duration => duration,
    }
}

/// Name and id of a process, safe to print.
fn process(comm: &str, pid: u32) -> String {
    if comm.is_empty() { format!("? {pid}") } else { format!("{} {pid}", plain(comm)) }
}

/// Number and noun; the noun gets an `s` unless it is one.
fn counted(count: u64, noun: &str) -> String {
    crate::check::formats::lines::counted(count, noun)
}
