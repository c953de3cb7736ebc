//! The report as one HTML file that needs nothing else: no network, no font, no other file.
//!
//! [`write()`] is a function of the report and of flame graphs that are drawn already. Every section is a list of
//! blocks, and every kind of block has a template below `tracer/templates/report`, in which askama escapes whatever is
//! put. It reads without its script; the script sorts tables, finds and zooms. Its size is bounded by the report's.

mod bars;
mod flame;
mod grid;
mod lanes;
mod page;
mod policy;
mod sections;
mod stacks;
#[cfg(test)]
mod tests;
mod verdict;

use std::io::{self, Write};

use askama::Template;

pub use flame::Flame;

use super::model::Report;
use page::Page;

/// Writes the page.
///
/// # Errors
/// Those of `out`.
pub fn write(report: &Report, flames: &[Flame], out: &mut impl Write) -> io::Result<()> {
    let sections = sections::all(report, flames);
    Page::new(report, flames, sections).write_into(out)
}

/// A part of the page with a heading.
struct Section {
    /// Where links lead to.
    id: &'static str,
    title: &'static str,
    /// Behind the title, safe to print.
    remark: String,
    blocks: Vec<Block>,
}

/// What a section is made of.
enum Block {
    /// A paragraph, safe to print.
    Text(String),
    Grid(grid::Grid),
    Bars(bars::Bars),
    Lanes(lanes::Lanes),
    Rules(verdict::Rules),
    Stack(stacks::Stack),
    Flame(flame::Frame),
}

impl Block {
    /// Its markup: whatever the report says is escaped in it.
    fn html(&self) -> askama::Result<String> {
        match self {
            Self::Text(text) => Text { text }.render(),
            Self::Grid(block) => block.render(),
            Self::Bars(block) => block.render(),
            Self::Lanes(block) => block.render(),
            Self::Rules(block) => block.render(),
            Self::Stack(block) => block.render(),
            Self::Flame(block) => block.render(),
        }
    }
}

#[derive(Template)]
#[template(source = "<p>{{ text }}</p>", ext = "html")]
struct Text<'a> {
    text: &'a str,
}
