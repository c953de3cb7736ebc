//! Exit codes and error numbers.

use std::io;

use rmapscope::event::{Kind, errno_name};

use super::document::{self, plain};
use super::paragraphs::Page;

/// The name under which the exit codes are explained.
pub const EXIT_CODES: &str = "exit-codes";

/// What the program's exit codes mean: the number, its meaning, what `--exit bisect` and `--exit kselftest` make
/// of it.
const CODES: [(&str, &str); 7] = [
    ("0", "done; check: no rule is violated and none is inconclusive. bisect 0, kselftest 0"),
    ("1", "check: a rule is violated; diff: a budget is broken. bisect 1 (bad), kselftest 1 (fail)"),
    ("2", "invalid command line, or a run-time error. bisect 128 (stop), kselftest 1"),
    (
        "3",
        "check: inconclusive. Events were lost, a probe is missing, a required rule was evaluated too few times, or \
         with --command-must-succeed the command failed; diff: a budget cannot be judged. bisect 125 (skip), kselftest \
         1, or 4 with --inconclusive=skip",
    ),
    ("4", "privilege, BTF or a kernel feature is missing. bisect 125 (skip), kselftest 4 (skip)"),
    (
        "128+n",
        "rmapscope was killed by signal n. The first SIGINT or SIGTERM only ends a live session: the exit code is \
         that of the verdict; a second SIGINT gives 130",
    ),
    ("record, script", "with `-- COMMAND` the exit code is the command's; 126 and 127 as in a shell"),
];

/// Explains the exit codes, or an error number by its name. Whether there is one of that name.
pub fn explain(name: &str, page: &mut Page) -> bool {
    if name == EXIT_CODES {
        page.title("exit-codes");
        CODES.iter().for_each(|(code, meaning)| page.item(&format!("{code}: {meaning}")));
        return true;
    }
    let Some(number) = (1..=524).find(|number| errno_name(*number) == Some(name)) else { return false };
    page.title(&format!("error number {name}, {number}"));
    let number = i32::try_from(number).unwrap_or_default();
    page.paragraph(&io::Error::from_raw_os_error(number).to_string());
    for kind in Kind::ALL {
        let rows = document::event(kind.name()).into_iter().flat_map(document::Section::rows);
        for row in rows.filter(|row| row.meaning.contains(name)) {
            page.item(&format!("in {} {}: {}", kind.name(), row.title(), plain(row.meaning)));
        }
    }
    true
}
