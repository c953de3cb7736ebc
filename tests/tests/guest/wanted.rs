//! Which sessions of a boot are run: those that the wanted tests judge.

use std::collections::BTreeSet;

use libtest_mimic::Arguments;

/// Sessions of a boot.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// All of them.
    All,
    /// Those of the tests that were asked for.
    Only(BTreeSet<String>),
}

impl Wanted {
    /// Whether it is one of them.
    pub fn has(&self, session: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(session),
        }
    }

    /// What the scripts read as `OUT/wanted`; nothing where all are run.
    pub fn list(&self) -> Option<String> {
        match self {
            Self::All => None,
            Self::Only(names) => Some(names.iter().map(|name| format!("{name}\n")).collect()),
        }
    }
}

/// Whether the command line asks for some tests only.
pub fn is_filtered(arguments: &Arguments) -> bool {
    arguments.filter.is_some() || !arguments.skip.is_empty()
}

/// Whether a test of that name is asked for; the rule is that of `libtest`.
pub fn is_named(arguments: &Arguments, name: &str) -> bool {
    let matches = |filter: &String| if arguments.exact { name == filter } else { name.contains(filter) };
    arguments.filter.as_ref().is_none_or(matches) && !arguments.skip.iter().any(matches)
}
