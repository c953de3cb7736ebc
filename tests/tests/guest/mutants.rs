//! The planted bugs of the kernel `6.12-hmm`, as `docs/mutants.md` lists them: one list for people and for tests.

use std::sync::LazyLock;

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

static ALL: LazyLock<Vec<Mutant>> = LazyLock::new(|| {
    parse(&std::fs::read_to_string(xtask::workspace::root().join("docs/mutants.md")).unwrap_or_default())
});

/// All of them, in the order of the document.
pub fn all() -> &'static [Mutant] {
    &ALL
}

/// For `verdicts.sh`: a name and a command a line, with a tab between.
pub fn list() -> String {
    all().iter().map(|mutant| format!("{}\t{}\n", mutant.name, mutant.command)).collect()
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
