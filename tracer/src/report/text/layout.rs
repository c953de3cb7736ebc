//! What the text may look like, and the page it is written on.

use anstyle::{AnsiColor, Style};

use super::grid::Grid;
use super::units;
use crate::check::formats::lines::{Line, Lines};

/// Characters of a line of prose, however wide the terminal is.
const PROSE: usize = 110;

/// A space at which no line ends.
pub const NO_BREAK: char = '\u{a0}';

/// What the text may look like.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Characters of a line.
    pub width: usize,
    /// With terminal colours.
    pub color: bool,
    /// With block characters and `µ`; otherwise ASCII alone, names aside.
    pub unicode: bool,
    /// Frames of a stack that are shown.
    pub frames: usize,
}

impl Default for Layout {
    /// For a file or a pipe.
    fn default() -> Self {
        Self { width: 80, color: false, unicode: false, frames: 8 }
    }
}

/// The text so far.
#[derive(Debug)]
pub struct Page {
    text: String,
    /// What it may look like.
    pub layout: Layout,
}

/// Of headings.
pub const HEADING: Style = Style::new().bold();
/// Of titles of columns, and of what is less important.
pub const DIM: Style = Style::new().dimmed();
/// Of what is broken.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Of what is missing.
pub const DOUBTFUL: Style = AnsiColor::Yellow.on_default().bold();
/// Of what is well.
pub const GOOD: Style = AnsiColor::Green.on_default();
const PLAIN: Style = Style::new();

impl Page {
    /// An empty one.
    pub const fn new(layout: Layout) -> Self {
        Self { text: String::new(), layout }
    }

    /// What was written.
    pub fn finish(self) -> String {
        self.text
    }

    /// A blank line, then the title of a section with a remark behind it.
    pub fn heading(&mut self, title: &str, remark: &str) {
        self.blank();
        if remark.is_empty() {
            self.prose(HEADING, 0, title);
        } else {
            let head = self.painted(HEADING, title);
            let fits = title.chars().count() + 2 + remark.chars().count() <= self.layout.width;
            if fits {
                let remark = self.painted(DIM, remark);
                self.text += &format!("{head}  {remark}\n");
            } else {
                self.text += &format!("{head}\n");
                self.prose(DIM, 1, remark);
            }
        }
    }

    /// Words that are safe to print, wrapped; `depth` steps of two spaces in front.
    pub fn prose(&mut self, style: Style, depth: usize, text: &str) {
        let mut lines = Lines::within(self.layout.width.min(PROSE));
        lines.add(depth, text);
        self.wrapped(style, lines);
    }

    /// Wrapped words without a style.
    pub fn plain(&mut self, depth: usize, text: &str) {
        self.prose(PLAIN, depth, text);
    }

    /// Lines that were wrapped elsewhere.
    pub fn wrapped(&mut self, style: Style, lines: Lines) {
        for Line { depth, text } in lines.finish() {
            let text = self.painted(style, &text.replace(NO_BREAK, " "));
            self.text += &format!("{:1$}{text}\n", "", 2 * depth);
        }
    }

    /// A blank line.
    pub fn blank(&mut self) {
        self.text.push('\n');
    }

    /// One line as it is, clipped where it would be too wide.
    pub fn line(&mut self, depth: usize, text: &str) {
        let text = self.clipped(text, self.layout.width.saturating_sub(2 * depth));
        self.text += &format!("{:1$}{text}\n", "", 2 * depth);
    }

    /// A table, `depth` steps of two spaces in front.
    pub fn grid(&mut self, depth: usize, grid: Grid) {
        let mut lines = grid.lines(self.layout.width.saturating_sub(2 * depth), self.ellipsis()).into_iter();
        if let Some(titles) = lines.next() {
            let titles = self.painted(DIM, &titles);
            self.text += &format!("{:1$}{titles}\n", "", 2 * depth);
        }
        for line in lines {
            self.text += &format!("{:1$}{line}\n", "", 2 * depth);
        }
    }

    /// A time.
    pub fn time(&self, nanoseconds: u64) -> String {
        units::time(nanoseconds, self.layout.unicode)
    }

    /// `…`, or what stands for it.
    pub const fn ellipsis(&self) -> &'static str {
        if self.layout.unicode { "…" } else { ".." }
    }

    /// `text`, cut where it is longer than `width`.
    pub fn clipped(&self, text: &str, width: usize) -> String {
        clip(text, width, self.ellipsis())
    }

    fn painted(&self, style: Style, text: &str) -> String {
        if self.layout.color && style != PLAIN { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// `text`, cut where it is longer than `width`.
pub fn clip(text: &str, width: usize, ellipsis: &str) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(ellipsis.chars().count());
    let mut clipped: String = text.chars().take(kept).collect();
    clipped.truncate(clipped.trim_end().len());
    clipped + ellipsis
}
