//! Which sessions of a boot are run: those that the wanted tests judge.

use std::collections::BTreeSet;

use libtest_mimic::Arguments;

/// Sessions of a boot.
#[derive(Clone, Debug)]
pub struct Wanted(pub BTreeSet<String>);

impl Wanted {
    /// Whether it is one of them.
    pub fn has(&self, session: &str) -> bool {
        self.0.contains(session)
    }

    /// What the scripts read as `OUT/wanted`.
    pub fn list(&self) -> String {
        self.0.iter().map(|name| format!("{name}\n")).collect()
    }
}

/// Whether a test of that name is asked for; the rule is that of `libtest`.
pub fn is_named(arguments: &Arguments, name: &str) -> bool {
    let matches = |filter: &String| if arguments.exact { name == filter } else { name.contains(filter) };
    arguments.filter.as_ref().is_none_or(matches) && !arguments.skip.iter().any(matches)
}
