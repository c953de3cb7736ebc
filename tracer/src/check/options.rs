//! What is asked of a check.

use std::collections::BTreeMap;

use super::catalogue::rules;
use crate::Error;
use crate::suggest::unknown;

/// What a missing probe or an unreadable value makes of a rule that depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnMissing {
    /// Inconclusive.
    #[default]
    Error,
    /// A note beside its answer.
    Warn,
    /// Nothing.
    Ignore,
}

/// What lost events make of a rule that depends on them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLoss {
    /// Inconclusive.
    #[default]
    Inconclusive,
    /// A note beside its answer.
    Warn,
    /// Nothing.
    Ignore,
}

/// Some of the rules; their order is that of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection(u32);

impl Default for Selection {
    fn default() -> Self {
        Self::all()
    }
}

impl Selection {
    /// Every rule.
    pub fn all() -> Self {
        Self((1 << rules().len()) - 1)
    }

    /// No rule.
    pub const fn none() -> Self {
        Self(0)
    }

    /// The rules of these names.
    ///
    /// # Errors
    /// The first name that no rule has.
    pub fn only<S: AsRef<str>>(names: &[S]) -> Result<Self, Error> {
        names.iter().try_fold(Self::none(), |chosen, name| Ok(Self(chosen.0 | known_bit(name.as_ref())?)))
    }

    /// These rules without those of the names.
    ///
    /// # Errors
    /// The first name that no rule has.
    pub fn without<S: AsRef<str>>(self, names: &[S]) -> Result<Self, Error> {
        names.iter().try_fold(self, |chosen, name| Ok(Self(chosen.0 & !known_bit(name.as_ref())?)))
    }

    /// Whether the rule of that name is one of them.
    pub fn contains(self, name: &str) -> bool {
        bit(name).is_some_and(|bit| self.0 & bit != 0)
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Their places in the catalogue.
    pub(super) fn places(self) -> impl Iterator<Item = usize> {
        (0..rules().len()).filter(move |place| self.0 >> place & 1 == 1)
    }
}

fn bit(name: &str) -> Option<u32> {
    rules().iter().position(|rule| rule.name == name).map(|place| 1 << place)
}

fn known_bit(name: &str) -> Result<u32, Error> {
    let names = rules().iter().map(|rule| rule.name);
    bit(name).ok_or_else(|| unknown("rule", name, names, "`rmapscope check --list` lists every rule"))
}

/// What is asked of a check.
#[derive(Clone, Debug)]
pub struct Options {
    /// The rules to judge.
    pub rules: Selection,
    /// Rules by name that are inconclusive when they were evaluated less often than this.
    pub required: BTreeMap<&'static str, u64>,
    /// What missing probes and unreadable values do.
    pub on_missing: OnMissing,
    /// What lost events do.
    pub on_loss: OnLoss,
    /// Most violations of a rule, and cases of a diagnosis, that are kept as evidence.
    pub evidence: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rules: Selection::all(),
            required: BTreeMap::new(),
            on_missing: OnMissing::default(),
            on_loss: OnLoss::default(),
            evidence: 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections_by_name() {
        let two = Selection::only(&["swiotlb-paired", "rmap-caller-locked"]).unwrap();
        assert!(two.contains("rmap-caller-locked") && !two.contains("swiotlb-in-pool"));
        let names: Vec<_> = two.places().map(|place| rules()[place].name).collect();
        assert_eq!(names, ["rmap-caller-locked", "swiotlb-paired"], "in the order of the catalogue");
        let rest = Selection::all().without(&["swiotlb-paired"]).unwrap();
        assert_eq!(rest.places().count(), rules().len() - 1);
        assert!(Selection::none().is_empty() && !rest.is_empty());
        assert_eq!(Selection::only(&["x\n"]).unwrap_err().to_string(), "there is no rule `x\\n`");
    }

    #[test]
    fn a_name_that_is_nearly_right_is_proposed() {
        let error = Selection::only(&["swiotlb-pair"]).unwrap_err();
        assert!(error.remedy.contains("`swiotlb-paired`"), "{}", error.remedy);
    }
}
