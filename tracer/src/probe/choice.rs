//! Which candidates of one point the kernel offers, and why the others are out.

use tracer_common::globals::Layout;
use tracer_common::point::Point;

use super::catalogue::{Candidate, Entry};
use super::program::{self, Program, ProgramKind};
use super::request::{Preference, Request};
use super::signature::{self, Positions};
use super::view::{KernelView, Presence};
use super::{AttachMethod, Attempt, Outcome};
use crate::kernel::FunctionSignature;

pub(super) const NOT_THERE: &str = "not in this kernel";
const LOOP: &str = "BPF_FUNC_loop";
const LOCKDOWN: &str = "the kernel is in lockdown (confidentiality)";

/// A candidate with a way to attach it that should work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenCandidate {
    /// Kernel symbol, or `category:name` of a tracepoint.
    pub symbol: String,
    /// How.
    pub method: AttachMethod,
    /// Whether a program runs at the entry (or at the tracepoint).
    pub entry: bool,
    /// Whether a program runs at the return.
    pub exit: bool,
    /// Where the arguments are.
    pub positions: Positions,
    /// What it does not tell; `None` when it is as good as can be.
    pub lost: Option<String>,
    /// The function's parameter list, when the catalogue does not know it.
    pub unfamiliar: Option<String>,
}

impl ChosenCandidate {
    /// The programs, in the order in which to attach them: the return before the entry, so that no
    /// beginning is kept whose end nobody sees.
    pub fn programs(&self, point: Point) -> Vec<Program> {
        let target = self.symbol.split_once(':').map_or(self.symbol.as_str(), |(_, name)| name);
        let (entry, exit) = match self.method {
            AttachMethod::Fentry => (ProgramKind::Fentry, ProgramKind::Fexit),
            AttachMethod::Kprobe => (ProgramKind::Kprobe, ProgramKind::Kretprobe),
            AttachMethod::Tracepoint => (ProgramKind::BtfTracepoint, ProgramKind::BtfTracepoint),
            AttachMethod::RawTracepoint => (ProgramKind::RawTracepoint, ProgramKind::RawTracepoint),
        };
        let exit = self.exit.then(|| Program::new(exit, point, target));
        let entry = self.entry.then(|| Program::new(entry, point, target));
        exit.into_iter().chain(entry).collect()
    }

    /// What the report says of it.
    pub(super) fn outcome(&self) -> Outcome {
        let (symbol, method) = (self.symbol.clone(), self.method);
        match &self.lost {
            None => Outcome::Attached { symbol, method },
            Some(lost) => Outcome::Fallback { symbol, method, lost: lost.clone() },
        }
    }
}

/// What came of one point's candidates.
pub(super) struct Choices {
    /// What should work, best first.
    pub(super) viable: Vec<ChosenCandidate>,
    /// What was passed over.
    pub(super) attempts: Vec<Attempt>,
    /// The outcome when nothing is viable.
    pub(super) gap: Outcome,
}

/// Looks through the candidates of an entry.
pub(super) fn choose(view: &dyn KernelView, request: &Request, entry: &Entry) -> Choices {
    let mut choices = Choices { viable: Vec::new(), attempts: Vec::new(), gap: absence(view, entry) };
    let mut missing: Vec<String> = without(view, entry.fields);
    if !entry.any_field.is_empty() && !entry.any_field.iter().any(|field| view.has_field(field)) {
        missing.push(without(view, entry.any_field).join(" or "));
    }
    if !entry.only_with.is_empty() && !entry.only_with.iter().any(|symbol| exists(view, symbol)) {
        return choices;
    }
    if !missing.is_empty() && entry.candidates.iter().any(|candidate| is_there(view, candidate)) {
        missing.dedup();
        choices.gap = Outcome::Unresolved { missing };
        return choices;
    }
    for candidate in entry.candidates {
        choices.look_at(view, request, entry, candidate);
    }
    choices
}

/// The path of a layout field, as the kernel's source would name it.
fn path(field: &str) -> String {
    let known = Layout::PATHS.iter().find(|(name, _)| *name == field);
    known.map_or(field, |(_, path)| *path).to_owned()
}

/// The paths of those fields that the kernel lacks.
fn without(view: &dyn KernelView, fields: &[&str]) -> Vec<String> {
    fields.iter().filter(|field| !view.has_field(field)).map(|field| path(field)).collect()
}

fn exists(view: &dyn KernelView, symbol: &str) -> bool {
    match view.symbol(symbol) {
        Presence::Unknown => view.function(symbol).is_some(),
        Presence::Absent => false,
        Presence::Once | Presence::Several(_) => true,
    }
}

fn is_there(view: &dyn KernelView, candidate: &Candidate) -> bool {
    match candidate.tracepoint() {
        Some(name) => view.tracepoint(name).is_some(),
        None => exists(view, candidate.symbol) || clone_of(view, candidate).is_some(),
    }
}

/// The one whole copy that the compiler made of a candidate that is not there itself.
fn clone_of(view: &dyn KernelView, candidate: &Candidate) -> Option<String> {
    if !candidate.clones {
        return None;
    }
    let mut copies = view.variants(candidate.symbol).into_iter().filter(|name| {
        let mut suffixes = name.split('.').skip(1).filter(|part| part.parse::<u32>().is_err());
        suffixes.all(|suffix| matches!(suffix, "isra" | "constprop"))
    });
    copies.next().filter(|_| copies.next().is_none())
}

/// Why no candidate exists.
fn absence(view: &dyn KernelView, entry: &Entry) -> Outcome {
    let absence = &entry.absence;
    if let Some(option) = absence.config
        && view.config(option) == Some(false)
    {
        return Outcome::Absent {
            reason: format!("CONFIG_{option} is not set in this kernel"),
            impossible: true,
        };
    }
    if !entry.only_with.is_empty() && !entry.only_with.iter().any(|symbol| exists(view, symbol)) {
        let reason = format!("this kernel has none of {}", entry.only_with.join(", "));
        return Outcome::Absent { reason, impossible: true };
    }
    let variants = view.variants(entry.name());
    if let Some(first) = variants.first() {
        let reason = format!("the compiler left only changed copies ({first}); {}", absence.reason);
        return Outcome::Inlined { reason };
    }
    match absence.inlined_into.filter(|parent| exists(view, parent)) {
        Some(parent) => {
            Outcome::Inlined { reason: format!("its code is inside {parent}; {}", absence.reason) }
        }
        None => Outcome::Absent {
            reason: absence.reason.to_owned(),
            impossible: absence.instead.iter().any(|symbol| exists(view, symbol)),
        },
    }
}

/// Why a way to attach is out.
enum Obstacle {
    Denied(String),
    Unresolved(Vec<String>),
}

impl Choices {
    fn look_at(&mut self, view: &dyn KernelView, request: &Request, entry: &Entry, candidate: &Candidate) {
        let methods = methods(candidate, request.attach);
        if !is_there(view, candidate) {
            self.pass_over(candidate.symbol, methods[0], NOT_THERE);
            return;
        }
        let (symbol, signature) = match candidate.tracepoint() {
            Some(name) => (candidate.symbol.to_owned(), view.tracepoint(name)),
            None if exists(view, candidate.symbol) => {
                (candidate.symbol.to_owned(), view.function(candidate.symbol))
            }
            // A copy has no BTF of its own, and none is needed: nothing but its result is read.
            None => match clone_of(view, candidate) {
                Some(copy) => (copy, None),
                None => return,
            },
        };
        for method in methods {
            match attempt(view, request, entry, candidate, &symbol, signature.as_ref(), *method) {
                Ok(chosen) => self.viable.push(chosen),
                Err(obstacle) => self.refuse(&symbol, *method, obstacle),
            }
        }
    }

    fn refuse(&mut self, symbol: &str, method: AttachMethod, obstacle: Obstacle) {
        match obstacle {
            Obstacle::Denied(reason) => {
                self.pass_over(symbol, method, &reason);
                // A missing argument says more than a way that is closed.
                if !matches!(self.gap, Outcome::Unresolved { .. }) {
                    self.gap = Outcome::Denied { reason };
                }
            }
            Obstacle::Unresolved(missing) => {
                self.pass_over(symbol, method, &format!("not found: {}", missing.join(", ")));
                self.gap = Outcome::Unresolved { missing };
            }
        }
    }

    fn pass_over(&mut self, symbol: &str, method: AttachMethod, reason: &str) {
        self.attempts.push(Attempt {
            symbol: symbol.to_owned(),
            method,
            reason: reason.to_owned(),
            is_refusal: false,
        });
    }
}

fn methods(candidate: &Candidate, preference: Preference) -> &'static [AttachMethod] {
    use AttachMethod::{Fentry, Kprobe, RawTracepoint, Tracepoint};
    match (candidate.tracepoint(), preference) {
        (Some(_), Preference::Auto) => &[Tracepoint, RawTracepoint],
        (Some(_), Preference::Fentry) => &[Tracepoint],
        (Some(_), Preference::Kprobe) => &[RawTracepoint],
        (None, Preference::Auto) => &[Fentry, Kprobe],
        (None, Preference::Fentry) => &[Fentry],
        (None, Preference::Kprobe) => &[Kprobe],
    }
}

/// One way to attach one candidate that exists.
fn attempt(
    view: &dyn KernelView,
    request: &Request,
    entry: &Entry,
    candidate: &Candidate,
    symbol: &str,
    signature: Option<&FunctionSignature>,
    method: AttachMethod,
) -> Result<ChosenCandidate, Obstacle> {
    if let Some(reason) = closed(view, request, candidate, symbol, signature, method) {
        return Err(Obstacle::Denied(reason));
    }
    let unknown = FunctionSignature { parameters: Vec::new(), result: String::new() };
    let known = match signature {
        Some(known) => known,
        None if entry.arguments.is_empty() => &unknown,
        None => return Err(Obstacle::Unresolved(vec![format!("the signature of {symbol} in BTF")])),
    };
    let resolved = signature::resolve(entry, known, method).map_err(Obstacle::Unresolved)?;
    let mut missing = without(view, candidate.fields);
    missing.extend(without(view, &resolved.fields));
    let no_pages = unfound_pages(view, request);
    missing.extend(no_pages.iter().filter(|_| candidate.only_with_pages).map(|why| unfound(why)));
    if !missing.is_empty() {
        return Err(Obstacle::Unresolved(missing));
    }
    let (on_entry, on_exit) = program::needed(entry.point, method, request);
    let mut lost: Vec<String> = candidate.lost.map(str::to_owned).into_iter().collect();
    if !resolved.unreached.is_empty() {
        lost.push(format!("argument {} (on the stack)", resolved.unreached.join(", ")));
    }
    if !request.probe_read {
        lost.extend(entry.lost_without_probe_read.map(|what| format!("{what} (lockdown)")));
    }
    lost.extend(unread_tables(view, request, entry));
    lost.extend(no_pages.filter(|_| request.probe_read).and_then(|why| unread_pages(entry, &why)));
    Ok(ChosenCandidate {
        symbol: symbol.to_owned(),
        method,
        entry: on_entry,
        exit: on_exit,
        positions: resolved.positions,
        lost: (!lost.is_empty()).then(|| lost.join("; ")),
        unfamiliar: signature.and_then(|found| unfamiliar(candidate, found)),
    })
}

/// Why programs cannot find the `struct page` of a page frame; `None` when they can.
fn unfound_pages(view: &dyn KernelView, request: &Request) -> Option<String> {
    if request.probe_read { view.no_memory_map() } else { Some("lockdown".to_owned()) }
}

/// What a candidate misses that needs it.
pub(super) fn unfound(why: &str) -> String {
    format!("the struct page of a page frame ({why})")
}

/// What is lost without it, where something is.
pub(super) fn unread_pages(entry: &Entry, why: &str) -> Option<String> {
    entry.pages.map(|lost| format!("{lost} ({why})"))
}

/// What is lost because page tables cannot be read; `None` when they can, or there is nothing to read in them.
fn unread_tables(view: &dyn KernelView, request: &Request, entry: &Entry) -> Option<String> {
    let tables = entry.tables?;
    if !tables.only_with.is_empty() && !tables.only_with.iter().any(|symbol| exists(view, symbol)) {
        return None;
    }
    let why = if !request.probe_read {
        "lockdown".to_owned()
    } else if let Some(why) = view.no_page_tables() {
        why
    } else if let Some(why) = view.no_memory_map().filter(|_| tables.range) {
        why
    } else if tables.range && !view.has_helper(LOOP) {
        "no bpf_loop in this kernel (5.17 and later)".to_owned()
    } else {
        return None;
    };
    Some(format!("{} ({why})", tables.lost))
}

/// Why a way to attach is closed on this kernel, whatever the arguments.
fn closed(
    view: &dyn KernelView,
    request: &Request,
    candidate: &Candidate,
    symbol: &str,
    signature: Option<&FunctionSignature>,
    method: AttachMethod,
) -> Option<String> {
    if let Presence::Several(count) = view.symbol(symbol)
        && candidate.tracepoint().is_none()
    {
        return Some(format!("{count} functions are named {symbol}; the kernel would pick an arbitrary one"));
    }
    match method {
        AttachMethod::Fentry => {
            let Some(signature) = signature else {
                return Some(format!("BTF does not have {symbol}, which a trampoline needs"));
            };
            let (arguments, most) = (signature.parameters.len(), view.trampoline_arguments());
            view.no_trampolines()
                .or_else(|| {
                    (view.is_traceable(symbol) == Some(false))
                        .then(|| "ftrace cannot hook it (not in available_filter_functions)".to_owned())
                })
                .or_else(|| {
                    (arguments > most).then(|| {
                        format!("it has {arguments} arguments; trampolines of this kernel take {most}")
                    })
                })
                .or_else(|| {
                    let helper = candidate.trampoline_helper.filter(|helper| !view.has_helper(helper))?;
                    Some(format!("its trampoline program needs {helper}, which is missing in this kernel"))
                })
                .or_else(|| switched_off(request, false))
        }
        AttachMethod::Kprobe if !request.probe_read => Some(format!("{LOCKDOWN}: no kprobes")),
        AttachMethod::Kprobe => view
            .no_kprobes()
            .or_else(|| {
                let is_forbidden = view.is_blacklisted(symbol) == Some(true);
                is_forbidden.then(|| "kprobes are blacklisted there".to_owned())
            })
            .or_else(|| switched_off(request, true)),
        AttachMethod::RawTracepoint if !request.probe_read => {
            Some(format!("{LOCKDOWN}: what the arguments point to cannot be read"))
        }
        AttachMethod::Tracepoint | AttachMethod::RawTracepoint => None,
    }
}

/// The switch that would keep a probe from firing.
fn switched_off(request: &Request, kprobes: bool) -> Option<String> {
    request.off.iter().find(|switch| switch.silences(kprobes)).map(|switch| switch.objection())
}

/// The parameter list, when it is none of the known ones. Names decide; a tracepoint's have none, there
/// their number does.
fn unfamiliar(candidate: &Candidate, found: &FunctionSignature) -> Option<String> {
    let is_known = candidate.signatures.iter().any(|known| {
        let known: Vec<&str> = known.split(", ").filter(|declaration| !declaration.is_empty()).collect();
        known.len() == found.parameters.len()
            && (candidate.tracepoint().is_some()
                || known.iter().zip(&found.parameters).all(|(declaration, parameter)| {
                    declaration.rsplit([' ', '*']).next() == Some(parameter.name.as_str())
                }))
    });
    (!is_known).then(|| {
        let parameters: Vec<String> = found
            .parameters
            .iter()
            .map(|p| format!("{} {}", p.type_name, p.name).trim_end().to_owned())
            .collect();
        parameters.join(", ")
    })
}
