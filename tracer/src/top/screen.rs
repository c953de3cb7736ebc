//! The screen as it is drawn: lines of a buffer, from the model and the size alone.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use super::details;
use super::menu::Menu;
use super::model::{Mode, Model, State};
use super::sample::safe;
use super::table::{table, title};
use crate::kernel::PoolUse;
use crate::stat::Losses;

/// Fewest columns and lines.
pub const SMALLEST: (u16, u16) = (80, 24);
/// Intervals of each pool that are shown.
const POOL_HISTORY: usize = 20;
/// Lines above the first row and below the last.
const AROUND: u16 = 6;
/// How it may look.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// With colours.
    pub color: bool,
    /// With characters beyond ASCII.
    pub unicode: bool,
}

/// Rows that a screen of so many lines has room for.
pub fn page(lines: u16) -> usize {
    usize::from(lines.saturating_sub(AROUND))
}

/// Lines that are drawn one after the other.
pub(super) struct Sheet<'a> {
    buffer: &'a mut Buffer,
    next: u16,
}

impl Sheet<'_> {
    /// The next line; what is too long is cut, what is too low is left out.
    pub fn line(&mut self, text: &str, style: Style) {
        let area = self.buffer.area;
        if self.next < area.height {
            let y = area.y + self.next;
            self.buffer.set_stringn(area.x, y, text, area.width.into(), style);
            self.next += 1;
        }
    }

    /// Lines that are left.
    pub fn left(&self) -> usize {
        usize::from(self.buffer.area.height.saturating_sub(self.next))
    }

    /// Goes on at the last line.
    fn last(&mut self) {
        self.next = self.next.max(self.buffer.area.height.saturating_sub(1));
    }
}

/// Draws everything.
pub fn draw(model: &Model, look: Look, buffer: &mut Buffer) {
    let Rect { width, height, .. } = buffer.area;
    let mut sheet = Sheet { buffer, next: 0 };
    if width < SMALLEST.0 || height < SMALLEST.1 {
        for line in [
            format!("The terminal has {width}x{height} characters."),
            format!("rmapscope top needs {}x{} or more.", SMALLEST.0, SMALLEST.1),
            "Make it larger, or press q.".to_owned(),
        ] {
            sheet.line(&line, Style::new());
        }
        return;
    }
    head(model, look, &mut sheet);
    match &model.mode {
        Mode::Help => details::help(model, &mut sheet),
        Mode::Details => details::details(model, look, &mut sheet),
        Mode::Menu(menu) => choices(menu, &mut sheet),
        Mode::Table | Mode::Typing => table(model, look, usize::from(width), &mut sheet),
    }
    sheet.last();
    sheet.line(&foot(model), Style::new());
}

fn head(model: &Model, look: Look, sheet: &mut Sheet<'_>) {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let state = match model.state {
        State::Attaching => "ATTACHING".to_owned(),
        State::Ending => "ENDING".to_owned(),
        State::Counting => seconds(model.sample().at),
        State::Paused => format!("PAUSED at {}", seconds(model.sample().at)),
    };
    sheet.line(&format!("rmapscope top  {state}  {}", model.view().words()), bold);
    let mut settings = vec![
        format!("sorted by {}{}", title(model, model.sort), if model.reversed { ", reversed" } else { "" }),
        if model.whole { "since the beginning".to_owned() } else { format!("every {}", model.every) },
    ];
    if !model.filter.is_empty() {
        settings.push(format!("with \"{}\"", model.filter));
    }
    settings.push(format!("{} of {} rows", model.admitted().count(), model.sample().rows.len()));
    sheet.line(&settings.join("  "), Style::new());
    let is_lossy = model.losses().any();
    let style = match (is_lossy, look.color) {
        (true, true) => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
        (true, false) => bold,
        _ => Style::new(),
    };
    sheet.line(&losses(model.losses(), &model.probes, !model.notes.is_empty()), style);
    if !model.sample().pools.is_empty() {
        sheet.line(&pools(model, look), Style::new());
    }
}

/// How full the pools of bounce buffers are, and were in the last intervals.
fn pools(model: &Model, look: Look) -> String {
    let pool = |pool: &PoolUse| {
        let history = details::bars(model.pool_history(&pool.name), POOL_HISTORY, look.unicode);
        let highest = pool.highest.map_or(String::new(), |highest| format!(", highest {highest}"));
        format!("{} {}/{} slots{highest} |{history}|", safe(&pool.name), pool.used, pool.slots)
    };
    format!("pools: {}", model.sample().pools.iter().map(pool).collect::<Vec<_>>().join("  "))
}

fn losses(losses: &Losses, probes: &str, has_notes: bool) -> String {
    let Losses { lost, missed, dropped, unpaired, stacks, other, has_gap, emitted: _ } = losses;
    let mut text =
        format!("lost {lost}  missed {missed}  dropped {dropped}  unpaired {unpaired}  (other) {other}");
    if *stacks > 0 {
        text += &format!("  stacks {stacks}");
    }
    if *has_gap {
        text += "  GAPS";
    }
    text += "  ";
    text += probes;
    if has_notes {
        text += ", see h";
    }
    text
}

fn seconds(nanoseconds: u64) -> String {
    format!("{:.1} s", nanoseconds as f64 / 1e9)
}

fn choices(menu: &Menu, sheet: &mut Sheet<'_>) {
    sheet.line("", Style::new());
    sheet.line(&format!(" {}:", menu.title), Style::new().add_modifier(Modifier::BOLD));
    let page = sheet.left().saturating_sub(2);
    let first = (menu.at + 1).saturating_sub(page);
    for (place, (name, _)) in menu.choices.iter().enumerate().skip(first).take(page) {
        let marker = if place == menu.at { '>' } else { ' ' };
        sheet.line(&format!(" {marker} {name}"), Style::new());
    }
}

fn foot(model: &Model) -> String {
    if let Some(message) = &model.message {
        return message.clone();
    }
    match &model.mode {
        Mode::Typing => format!("with: {}_  (Enter keeps it, Esc shows all)", model.filter),
        Mode::Help | Mode::Details => "Esc back".to_owned(),
        Mode::Menu(_) => "arrows or a letter point, Enter chooses, Esc back".to_owned(),
        Mode::Table => {
            let back = if model.views.len() > 1 { "  u back" } else { "" };
            format!("q quit  h help  space pause  s sort  / filter  g group  v value  d drill{back}")
        }
    }
}
