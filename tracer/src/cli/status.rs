//! What is said on standard error.

use std::io::{IsTerminal, Write};

use rmapscope::Error;

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
