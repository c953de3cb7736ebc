//! The probe catalogue: what can be watched, where, and what each stand-in cannot tell.
//!
//! Data, not code. Each [`Entry`] lists, in order of preference, the kernel functions or tracepoints that can
//! serve one [`Point`]; the [plan](super::Plan) takes the first that the running kernel offers. Nothing here is
//! chosen by kernel version, because vendors backport: the version ranges are for people.
//! `docs/probes.md` is this catalogue with its reasons.

mod exclusive;
mod fork;
mod hmm;
mod migrate;
mod mlock;
mod process;
mod rmap;
mod swiotlb;

use tracer_common::event::Kind;
use tracer_common::point::{Argument, Point};

/// Everything about one point.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The point.
    pub point: Point,
    /// Events of other points to which it adds, and events that it makes along with others.
    pub also: &'static [Kind],
    /// Whether its events come with their family.
    pub scope: Scope,
    /// How each of [`Point::arguments`] is found, in that order.
    pub arguments: &'static [Wanted],
    /// Fields ([`Layout::PATHS`](tracer_common::globals::Layout::PATHS)) without which its records would be
    /// wrong or empty. Fields that only leave a value unknown are not listed.
    pub fields: &'static [&'static str],
    /// Fields of which one must be there, in the same sense; empty for none.
    pub any_field: &'static [&'static str],
    /// Points that fill in values of this one's records; they are attached with it.
    pub companions: &'static [Point],
    /// Kernel symbols of which one must exist for the events to be possible at all; empty for none.
    pub only_with: &'static [&'static str],
    /// What it reads in page tables, where it does.
    pub tables: Option<Tables>,
    /// What it tells by the `struct page` of a page frame, where it does: the rest it tells all the same.
    pub pages: Option<&'static str>,
    /// What a kernel in lockdown hides, where no trampoline reads it directly.
    pub lost_without_probe_read: Option<&'static str>,
    /// Functions or tracepoints, best first.
    pub candidates: &'static [Candidate],
    /// What it means when no candidate exists.
    pub absence: Absence,
}

/// What a point's programs read in the page tables of a process.
#[derive(Clone, Copy, Debug)]
pub struct Tables {
    /// What is lost where they cannot be read.
    pub lost: &'static str,
    /// Whether a range is read, which needs a loop that older kernels do not have.
    pub range: bool,
    /// Kernel symbols of which one must exist for there to be anything to read; empty for none.
    pub only_with: &'static [&'static str],
}

/// Whether a point's events come with their family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// They do.
    Family,
    /// Only when asked for by name or with all per-VMA detail: one event for each VMA that a walk visits.
    PerVma,
}

/// An argument that programs read: how to find it in a signature.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Which.
    pub argument: Argument,
    /// Where it is.
    pub place: Place,
    /// What it must be.
    pub holds: Holds,
    /// Where else it may be: kernels that have it behind a pointer.
    pub behind: Option<Behind>,
    /// Whether the point is useless without it.
    pub needed: bool,
}

/// A value behind an argument that is a pointer.
#[derive(Clone, Copy, Debug)]
pub struct Behind {
    /// The pointer's names; the first that occurs is taken.
    pub names: &'static [&'static str],
    /// What it points to, one of these types (without `struct`), or anything when the list is empty.
    pub types: &'static [&'static str],
    /// The field of [`Layout::PATHS`](tracer_common::globals::Layout::PATHS) that says where in there the value is;
    /// at its beginning for `None`.
    pub field: Option<&'static str>,
}

/// Where an argument is.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// It has one of these names; the first that occurs is taken.
    Named(&'static [&'static str]),
    /// So many arguments come before it. For tracepoints, whose prototypes have no names.
    FromStart(usize),
    /// So many arguments come after it.
    FromEnd(usize),
}

/// What an argument must be. Loose on purpose: typedefs differ between kernels.
#[derive(Clone, Copy, Debug)]
pub enum Holds {
    /// A pointer to one of these types (without `struct`), or to anything when the list is empty.
    Pointer(&'static [&'static str]),
    /// A number, an enumeration, or something else that fits a register.
    Value,
}

/// One kernel function or tracepoint that can serve a point.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Kernel symbol, or `category:name` of a tracepoint.
    pub symbol: &'static str,
    /// Versions of the mainline kernel that have it.
    pub versions: &'static str,
    /// Parameter lists that it is known to have had, oldest first.
    pub signatures: &'static [&'static str],
    /// What it does not tell that a better candidate would; `None` for the same thing under another name.
    pub lost: Option<&'static str>,
    /// Enumerator of `enum bpf_func_id` without which its trampoline programs do not load.
    pub trampoline_helper: Option<&'static str>,
    /// Fields without which its records would be wrong, beside those of the [entry](Entry::fields).
    pub fields: &'static [&'static str],
    /// Without the `struct page` of a page frame its records would be wrong, or there would be none.
    pub only_with_pages: bool,
    /// A copy that the compiler made (`.isra.0`, `.constprop.0`) will do as well: no argument is used.
    pub clones: bool,
}

/// What it means when no candidate exists.
#[derive(Clone, Copy, Debug)]
pub struct Absence {
    /// Configuration option (without `CONFIG_`) that brings the functions.
    pub config: Option<&'static str>,
    /// Function that swallows the first candidate when the compiler inlines it.
    pub inlined_into: Option<&'static str>,
    /// Functions of which any shows that this kernel does the work in another way.
    pub instead: &'static [&'static str],
    /// Why that is and what stands in, for people.
    pub reason: &'static str,
}

/// Events that consist of what only `bpf_probe_read_kernel` can read: a name behind two pointers.
pub const ONLY_WITH_PROBE_READ: &[Kind] = &[Kind::DeviceName];

/// Every entry, in the order of [`Point::ALL`].
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    [
        process::ENTRIES,
        exclusive::ENTRIES,
        rmap::ENTRIES,
        migrate::ENTRIES,
        mlock::ENTRIES,
        fork::ENTRIES,
        swiotlb::ENTRIES,
        hmm::ENTRIES,
    ]
    .into_iter()
    .flatten()
}

/// The entry of a point.
pub fn entry(point: Point) -> &'static Entry {
    entries().find(|entry| entry.point == point).expect("a test checks that every point has an entry")
}

impl Entry {
    /// An entry with nothing in it yet.
    const fn of(point: Point) -> Self {
        Self {
            point,
            also: &[],
            scope: Scope::Family,
            arguments: &[],
            fields: &[],
            any_field: &[],
            companions: &[],
            only_with: &[],
            tables: None,
            pages: None,
            lost_without_probe_read: None,
            candidates: &[],
            absence: Absence { config: None, inlined_into: None, instead: &[], reason: "" },
        }
    }

    /// The point's name: its first candidate.
    pub fn name(&self) -> &'static str {
        self.candidates.first().map_or("", |candidate| candidate.symbol)
    }

    /// Every event that it makes or adds to.
    pub fn all_kinds(&self) -> impl Iterator<Item = Kind> {
        self.point.kinds().iter().chain(self.also).copied()
    }
}

impl Candidate {
    /// A candidate that loses nothing.
    const fn of(symbol: &'static str, versions: &'static str, signatures: &'static [&'static str]) -> Self {
        Self {
            symbol,
            versions,
            signatures,
            lost: None,
            trampoline_helper: None,
            fields: &[],
            only_with_pages: false,
            clones: false,
        }
    }

    /// Name of the tracepoint without its category; `None` for a function.
    pub fn tracepoint(&self) -> Option<&'static str> {
        self.symbol.split_once(':').map(|(_, name)| name)
    }
}

impl Wanted {
    /// A pointer to one of `types`, under one of `names`.
    const fn pointer(
        argument: Argument,
        names: &'static [&'static str],
        types: &'static [&'static str],
    ) -> Self {
        Self::at(argument, Place::Named(names), Holds::Pointer(types))
    }

    /// A number under one of `names`.
    const fn value(argument: Argument, names: &'static [&'static str]) -> Self {
        Self::at(argument, Place::Named(names), Holds::Value)
    }

    /// One at a place.
    const fn at(argument: Argument, place: Place, holds: Holds) -> Self {
        Self { argument, place, holds, behind: None, needed: true }
    }

    /// The same, or behind a pointer.
    const fn or_behind(self, behind: Behind) -> Self {
        Self { behind: Some(behind), ..self }
    }

    /// The same, but the point does without it.
    const fn optional(self) -> Self {
        Self { needed: false, ..self }
    }
}

/// The folio or page that a function is about.
const FOLIO: Wanted = Wanted::pointer(Argument::Folio, &["folio", "page"], &["folio", "page"]);
/// The VMA that a function is about.
const VMA: Wanted = Wanted::pointer(Argument::Vma, &["vma"], &["vm_area_struct"]);
/// A user address.
const ADDRESS: Wanted = Wanted::value(Argument::Address, &["address", "addr"]);

#[cfg(test)]
mod tests;
