//! What is said on standard error.

use std::io::{IsTerminal, Write};

use rmapscope::Error;
use rmapscope::escape::escape;
use rmapscope::event::UnknownKinds;
use rmapscope::trace_file::Ending;

/// How much may be said.
#[derive(Clone, Copy, Debug)]
pub struct Status {
    quiet: bool,
    verbose: u8,
}

impl Status {
    /// With `quiet` only what matters, with `verbose` more.
    pub const fn new(quiet: bool, verbose: u8) -> Self {
        Self { quiet, verbose }
    }

    /// Whether a person may be shown how far the work is.
    pub fn shows_progress(self) -> bool {
        !self.quiet && std::io::stderr().is_terminal()
    }

    /// The exit code of a command that read a file to the end that it has, and whether it is whole: a recording that was
    /// cut short is said, a damaged one is an error. `done` is what was done with it, such as `printed`.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn whole(self, ending: Option<&Ending>, incomplete: Option<&str>, done: &str) -> Result<u8, Error> {
        match (ending, incomplete) {
            (_, None) => Ok(0),
            (Some(Ending::NoSummary), Some(incomplete)) => {
                self.important(incomplete);
                Ok(0)
            }
            (_, Some(incomplete)) => Err(Error::failure(
                incomplete,
                format!("what was {done} is valid; for the rest get an undamaged copy or record again"),
            )),
        }
    }

    /// A line that the user should see unless asked for quiet.
    pub fn note(self, line: &str) {
        if !self.quiet {
            print(&format!("rmapscope: {line}\n"));
        }
    }

    /// A line that the user has to see in any case.
    pub fn important(self, line: &str) {
        print(&format!("rmapscope: {line}\n"));
    }

    /// Says which events of a file this version does not know, if any; `recorder` is the version that does.
    pub fn unknown_kinds(self, kinds: &UnknownKinds, recorder: &str) {
        if let Some(sentence) = kinds.sentence(u32::MAX, recorder) {
            let mut line = Vec::new();
            escape(&mut line, &sentence, false);
            self.important(&String::from_utf8_lossy(&line));
        }
    }

    /// A line for those who asked for more.
    pub fn detail(self, line: &str) {
        if self.verbose > 0 {
            print(&format!("rmapscope: {line}\n"));
        }
    }
}

/// The error that ends the program.
pub fn error(error: &Error) {
    let mut text = format!("rmapscope: {}\n", error.cause);
    if !error.remedy.is_empty() {
        text += &format!("  try: {}\n", error.remedy);
    }
    print(&text);
}

fn print(text: &str) {
    // There is nobody to tell when standard error takes nothing.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
