//! The planted bugs of the kernel `6.12-hmm`, as `docs/mutants.md` lists them: one list for people and for tests.

use std::sync::LazyLock;

use crate::wanted::Wanted;

/// A planted bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// What chooses it: `rmapscope.mutant=NAME`.
    pub name: String,
    /// The rule or the diagnosis that must see it.
    pub subject: String,
    /// The command that provokes it.
    pub command: String,
}

static ALL: LazyLock<Vec<Mutant>> = LazyLock::new(|| parse(include_str!("../../../docs/mutants.md")));

/// All of them, in the order of the document.
pub fn all() -> &'static [Mutant] {
    &ALL
}

impl Mutant {
    /// The attach methods that it is looked for with: kprobes, too, for the first one of each rule.
    pub fn methods(&self) -> &'static [&'static str] {
        let first = all().iter().find(|mutant| mutant.subject == self.subject);
        if first == Some(self) { &["auto", "kprobe"] } else { &["auto"] }
    }

    /// The session that looks for it with that method.
    pub fn session(&self, method: &str) -> String {
        format!("{}-{method}", self.name)
    }

    /// The sessions that look for it.
    pub fn sessions(&self) -> Vec<String> {
        self.methods().iter().map(|method| self.session(method)).collect()
    }
}

/// The list for `verdicts.sh`, of the sessions that are wanted.
pub fn list(wanted: &Wanted) -> String {
    let lines = all().iter().flat_map(|mutant| {
        let methods = mutant.methods().iter().filter(|method| wanted.has(&mutant.session(method)));
        methods.map(|method| {
            format!("{}\t{method}\t{}\t{}\n", mutant.session(method), mutant.name, mutant.command)
        })
    });
    lines.collect()
}

/// The rows of every table that has the columns `mutant`, `workload`, and `rule` or `diagnosis`.
fn parse(document: &str) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    let mut columns = None;
    for line in document.lines() {
        let Some(row) = line.strip_prefix('|').and_then(|line| line.trim_end().strip_suffix('|')) else {
            columns = None;
            continue;
        };
        let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let column = |name: &str| cells.iter().position(|cell| *cell == name);
        match columns {
            None => {
                columns =
                    Some((column("mutant"), column("rule").or(column("diagnosis")), column("workload")));
            }
            Some((Some(name), Some(subject), Some(command))) if !cells[0].starts_with("---") => {
                let cell = |at: usize| cells.get(at).copied().unwrap_or_default().to_owned();
                mutants.push(Mutant { name: cell(name), subject: cell(subject), command: cell(command) });
            }
            Some(_) => {}
        }
    }
    mutants
}
