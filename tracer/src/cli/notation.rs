//! The notations that both events and counts are printed in, and the options that choose one.

use clap::{Args, ValueEnum};
use rmapscope::Error;
use rmapscope::output::Notation;

/// Which notation.
#[derive(Args, Debug)]
pub struct NotationArgs {
    /// Output format; `json` is one object per line.
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<FormatName>,
    /// Short for `--format json`.
    #[arg(short, long, conflicts_with_all = ["format", "separator"])]
    json: bool,
    /// CSV with this separator: one ASCII character, or `tab`.
    #[arg(short = 'x', long, value_name = "SEP", value_parser = separator)]
    separator: Option<u8>,
}

/// A notation's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormatName {
    /// Aligned columns for people.
    Text,
    /// One object a line.
    Json,
    /// Comma-separated values, with one line of titles.
    Csv,
}

fn separator(text: &str) -> Result<u8, &'static str> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r' | 0) => Ok(*byte),
        _ => Err("a separator is one ASCII character, or `tab`"),
    }
}

impl NotationArgs {
    /// The notation that these options name together.
    ///
    /// # Errors
    /// When they contradict each other.
    pub fn notation(&self) -> Result<Notation, Error> {
        // The parser takes `--json` alone.
        let name = self.format.unwrap_or(match (self.json, self.separator) {
            (true, _) => FormatName::Json,
            (false, Some(_)) => FormatName::Csv,
            (false, None) => FormatName::Text,
        });
        match (name, self.separator) {
            (FormatName::Csv, separator) => Ok(Notation::Csv(separator.unwrap_or(b','))),
            (FormatName::Text, None) => Ok(Notation::Text),
            (FormatName::Json, None) => Ok(Notation::Json),
            (_, Some(_)) => Err(Error::failure("only CSV has a separator", "use --format csv, or drop -x")),
        }
    }
}
