//! What keys do.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::menu::Menu;
use super::model::{Mode, Model, State};
use super::view::View;

/// What has to be done beside drawing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing.
    Nothing,
    /// The program ends.
    Quit,
    /// Another view is counted.
    View(View),
    /// The view before this one is counted again.
    Back,
}

/// Takes a key, where the table has room for so many rows.
pub fn press(model: &mut Model, key: KeyEvent, page: usize) -> Wish {
    if key.kind == KeyEventKind::Release {
        return Wish::Nothing;
    }
    model.message = None;
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return if key.code == KeyCode::Char('c') { Wish::Quit } else { Wish::Nothing };
    }
    match &mut model.mode {
        Mode::Help | Mode::Details => {
            if let KeyCode::Char('q' | 'h' | '?') | KeyCode::Esc | KeyCode::Enter = key.code {
                model.mode = Mode::Table;
            }
            Wish::Nothing
        }
        Mode::Typing => type_filter(model, key.code),
        Mode::Menu(menu) => {
            match key.code {
                KeyCode::Up => menu.step(-1),
                KeyCode::Down => menu.step(1),
                KeyCode::PageUp => menu.step(-10),
                KeyCode::PageDown => menu.step(10),
                KeyCode::Home => menu.at = 0,
                KeyCode::End => menu.step(isize::MAX),
                KeyCode::Enter => {
                    let chosen = menu.choices.get(menu.at).map(|(_, view)| view.clone());
                    model.mode = Mode::Table;
                    return chosen.filter(|view| view != model.view()).map_or(Wish::Nothing, Wish::View);
                }
                KeyCode::Esc => model.mode = Mode::Table,
                KeyCode::Char(letter) => menu.seek(letter),
                _ => {}
            }
            Wish::Nothing
        }
        Mode::Table => of_table(model, key.code, page),
    }
}

fn type_filter(model: &mut Model, key: KeyCode) -> Wish {
    match key {
        KeyCode::Enter => model.mode = Mode::Table,
        KeyCode::Esc => {
            model.filter.clear();
            model.mode = Mode::Table;
        }
        KeyCode::Backspace => _ = model.filter.pop(),
        KeyCode::Char(letter) if model.filter.len() < 60 && !letter.is_control() => model.filter.push(letter),
        _ => {}
    }
    Wish::Nothing
}

fn of_table(model: &mut Model, key: KeyCode, page: usize) -> Wish {
    let page = page.max(1).cast_signed();
    match key {
        KeyCode::Char('q') => return Wish::Quit,
        KeyCode::Char('h' | '?') => model.mode = Mode::Help,
        KeyCode::Char(' ' | 'p') => model.pause(),
        KeyCode::Char('s' | '>') => model.sort_next(1),
        KeyCode::Char('S' | '<') => model.sort_next(model.columns().len() - 1),
        KeyCode::Char('r') => model.reversed = !model.reversed,
        KeyCode::Char('a') => model.whole = !model.whole,
        KeyCode::Char('/') => model.mode = Mode::Typing,
        KeyCode::Esc => model.filter.clear(),
        KeyCode::Up | KeyCode::Char('k') => model.step(-1),
        KeyCode::Down | KeyCode::Char('j') => model.step(1),
        KeyCode::PageUp => model.step(-page),
        KeyCode::PageDown => model.step(page),
        KeyCode::Home => model.selected = None,
        KeyCode::End => model.step(isize::MAX),
        KeyCode::Enter if !model.rows().is_empty() => model.mode = Mode::Details,
        KeyCode::Char('g' | 'v' | 'd' | 'u') | KeyCode::Backspace => return of_views(model, key),
        _ => model.message = Some("unknown key; h shows all keys".to_owned()),
    }
    Wish::Nothing
}

/// Keys that choose what is counted.
fn of_views(model: &mut Model, key: KeyCode) -> Wish {
    if !matches!(model.state, State::Counting | State::Paused) {
        return Wish::Nothing;
    }
    let view = model.view().clone();
    let of_event = view.event.map(|kind| vec![kind]);
    let kinds = of_event.as_deref().unwrap_or(&model.kinds);
    let menu = match key {
        KeyCode::Char('g') => Menu::groupings("group by", &view, kinds),
        KeyCode::Char('v') => Menu::values(&view, kinds),
        KeyCode::Char('d') => {
            let rows = model.rows();
            let Some(row) = rows.get(model.place(&rows)) else {
                model.message = Some("there is no row yet".to_owned());
                return Wish::Nothing;
            };
            let narrowed = view.narrowed(&row.key, &row.label);
            let title = match &narrowed.task {
                Some(super::Task::Process(id, _)) => format!("{}, process {id}, by", row.key.kind.name()),
                Some(super::Task::Thread(id, _)) => format!("{}, thread {id}, by", row.key.kind.name()),
                None => format!("{}, by", row.key.kind.name()),
            };
            Menu::groupings(&title, &narrowed, &[row.key.kind])
        }
        _ if model.views.len() > 1 => return Wish::Back,
        _ => {
            model.message = Some("this is the first view".to_owned());
            return Wish::Nothing;
        }
    };
    model.mode = Mode::Menu(menu);
    Wish::Nothing
}
