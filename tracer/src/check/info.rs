//! What a rule or a diagnosis says about itself: `explain` and `check --list` print it.

use tracer_common::event::Kind;

use super::Severity;

/// What an event is to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Without it the rule is inconclusive.
    Required,
    /// The same, and a fallback of its probe does not tell enough.
    Whole,
    /// Without it the rule is inconclusive, unless this kernel cannot do what it tells of.
    WherePossible,
    /// It stands in for that event where the kernel does not give it.
    InPlaceOf(Kind),
    /// It is used if available, and that none came is taken for a fault: where its probe could not fire, what
    /// was found is doubtful.
    Counted,
    /// It is used if available.
    Optional,
}

/// An event that a rule or a diagnosis uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The event.
    pub kind: Kind,
    /// What it is to the rule.
    pub role: Role,
    /// What it serves, in a few words.
    pub serves: &'static str,
    /// Whether nothing has happened that the rule speaks about when none came of all events that say so, whatever
    /// else is missing. Where no event of a rule says so, only all that it needs can show that.
    pub is_occasion: bool,
}

impl Need {
    pub(super) const fn required(kind: Kind, serves: &'static str) -> Self {
        Self { kind, role: Role::Required, serves, is_occasion: false }
    }

    pub(super) const fn whole(kind: Kind, serves: &'static str) -> Self {
        Self { kind, role: Role::Whole, serves, is_occasion: false }
    }

    pub(super) const fn where_possible(kind: Kind, serves: &'static str) -> Self {
        Self { kind, role: Role::WherePossible, serves, is_occasion: false }
    }

    pub(super) const fn in_place_of(other: Kind, kind: Kind, serves: &'static str) -> Self {
        Self { kind, role: Role::InPlaceOf(other), serves, is_occasion: false }
    }

    pub(super) const fn optional(kind: Kind, serves: &'static str) -> Self {
        Self { kind, role: Role::Optional, serves, is_occasion: false }
    }

    pub(super) const fn counted(kind: Kind, serves: &'static str) -> Self {
        Self { kind, role: Role::Counted, serves, is_occasion: false }
    }

    /// The same, and the rule has nothing to judge without it.
    pub(super) const fn occasion(self) -> Self {
        Self { is_occasion: true, ..self }
    }

    /// Whether the rule is inconclusive without it.
    pub const fn is_required(&self) -> bool {
        matches!(self.role, Role::Required | Role::Whole | Role::WherePossible)
    }
}

/// A rule, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleInfo {
    /// Its name, which never changes.
    pub name: &'static str,
    /// The rule in one line.
    pub title: &'static str,
    /// How much a violation matters.
    pub severity: Severity,
    /// What the kernel promises, and what is checked.
    pub statement: &'static str,
    /// Where the kernel says it: version, file, function.
    pub citations: &'static [&'static str],
    /// Kernels that can exercise it.
    pub kernels: &'static str,
    /// The events that it uses.
    pub needs: &'static [Need],
    /// What looks like a violation and is none.
    pub exceptions: &'static [&'static str],
    /// A violation as its evidence shows it.
    pub example: &'static str,
    /// Why there may be nothing to evaluate.
    pub idle: &'static str,
}

/// A diagnosis, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiagnosisInfo {
    /// Its name, which never changes.
    pub name: &'static str,
    /// The trouble in one line.
    pub title: &'static str,
    /// What happens in the kernel, and when it is reported.
    pub statement: &'static str,
    /// Where the kernel does so: version, file, function.
    pub citations: &'static [&'static str],
    /// The events that it uses.
    pub needs: &'static [Need],
    /// A case as its evidence shows it.
    pub example: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}
