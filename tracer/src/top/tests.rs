//! Screens of made-up samples, against golden files; keys; what pausing, sorting and filtering do.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};

use super::keys::{Wish, press};
use super::screen::{Look, draw, page};
use super::{Column, Mode, Model, Row, Sample, State, Task, View};
use crate::event::Kind;
use crate::golden_common::assert_golden;
use crate::kernel::PoolUse;
use crate::stat::{By, Cell, GroupKey, Key, Losses, Of, Question};

const LOOK: Look = Look { color: true, unicode: false };

fn row(kind: Kind, pid: u64, name: &str, now: &[u64], before: &[u64]) -> Row {
    let mut cells = [Cell::default(), Cell::default()];
    for (cell, values) in cells.iter_mut().zip([now, before]) {
        values.iter().for_each(|value| cell.record(Some(*value)));
    }
    let [now, mut all] = cells;
    all.add(&now);
    let key = Key { kind, group: GroupKey::Number(pid) };
    Row { key, label: format!("{pid} {name}"), frames: Vec::new(), now, all }
}

/// The second of two samples.
fn sample() -> Sample {
    let rows = vec![
        row(Kind::TryToUnmap, 812, "postgres", &[4_000, 5_000, 5_200, 90_000], &[5_000; 1000]),
        row(Kind::TryToUnmap, 31, "kswapd0", &[2_000; 40], &[2_500; 7]),
        row(Kind::MakeDeviceExclusive, 4_194_303, "hmm-tests\\x0a", &[1_200_000], &[]),
        row(Kind::CopyPageRange, 1, "systemd", &[], &[700_000, 800_000]),
    ];
    Sample { at: 12_000_000_000, span: 1_000_000_000, rows, losses: Losses::default(), pools: Vec::new() }
}

fn model() -> Model {
    let question = Question { by: By::Process, of: Some(Of::Latency) };
    let kinds =
        vec![Kind::TryToUnmap, Kind::MakeDeviceExclusive, Kind::CopyPageRange, Kind::SwiotlbMapSingle];
    let mut model = Model::new(View::new(question), kinds, "1s".to_owned());
    model.attached(23, 24, vec!["not: try_to_migrate_one, inlined, into try_to_migrate".to_owned()]);
    for _ in 0..3 {
        model.take(sample());
    }
    model
}

fn shown(model: &Model, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(model, LOOK, frame.buffer_mut())).unwrap();
    text(terminal.backend().buffer())
}

fn text(buffer: &Buffer) -> String {
    let Rect { width, height, .. } = buffer.area;
    let line = |y: u16| -> String { (0..width).map(|x| buffer[(x, y)].symbol()).collect() };
    (0..height).map(|y| line(y).trim_end().to_owned() + "\n").collect()
}

fn type_keys(model: &mut Model, keys: &str) -> Wish {
    let mut wish = Wish::Nothing;
    for letter in keys.chars() {
        let code = match letter {
            '\n' => KeyCode::Enter,
            '\x1b' => KeyCode::Esc,
            'D' => KeyCode::Down,
            letter => KeyCode::Char(letter),
        };
        wish = press(model, KeyEvent::new(code, KeyModifiers::NONE), page(24));
    }
    wish
}

#[test]
fn golden() {
    let check = |name: &str, keys: &str, width, height| {
        let mut model = model();
        type_keys(&mut model, keys);
        assert_golden(format!("tests/golden/top-{name}.txt"), &shown(&model, width, height));
    };
    check("table", "", 80, 24);
    check("wide", "ss", 140, 24);
    check("help", "h", 80, 24);
    check("details", "D\n", 80, 24);
    check("groupings", "g", 80, 24);
    check("drill-down", "d", 80, 24);
    check("filter", "/unmap", 80, 24);
    check("small", "", 79, 24);
    let mut bouncing = model();
    for used in [0, 12, 640, 96] {
        let pool = |name: &str, highest| PoolUse { name: name.to_owned(), used, slots: 32768, highest };
        let pools = vec![pool("swiotlb", Some(640)), pool("restricted\n@78000000", None)];
        bouncing.take(Sample { pools, ..sample() });
    }
    assert_golden("tests/golden/top-pools.txt", &shown(&bouncing, 140, 24));
    let mut lossy = model();
    let losses = Losses { lost: 14, missed: 2, has_gap: true, ..Losses::default() };
    lossy.take(Sample { losses, ..sample() });
    lossy.pause();
    assert_golden("tests/golden/top-losses.txt", &shown(&lossy, 80, 24));
}

#[test]
fn every_size_is_drawn() {
    for (width, height) in [(0, 0), (1, 1), (79, 24), (80, 23), (80, 24), (81, 25), (200, 60), (1000, 2)] {
        for keys in ["", "h", "\n", "g", "v", "d", "/x"] {
            let mut model = model();
            type_keys(&mut model, keys);
            let text = shown(&model, width, height);
            let is_small = width < 80 || height < 24;
            assert_eq!(text.contains("lost 0"), !is_small, "{width}x{height}: {text}");
        }
    }
}

#[test]
fn without_colour_no_cell_has_one() {
    let mut model = model();
    model.take(Sample { losses: Losses { lost: 1, ..Losses::default() }, ..sample() });
    let colors = |color| {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 80, 24));
        draw(&model, Look { color, unicode: true }, &mut buffer);
        let is_colored = |style: Style| {
            style.fg.is_some_and(|color| color != Color::Reset)
                || style.bg.is_some_and(|color| color != Color::Reset)
        };
        buffer.content.iter().any(|cell| is_colored(cell.style()))
    };
    assert!(colors(true) && !colors(false));
}

#[test]
fn sorting_changes_the_order() {
    let mut model = model();
    let first = |model: &Model| model.rows()[0].label.clone();
    assert_eq!(first(&model), "31 kswapd0");
    type_keys(&mut model, "s");
    assert_eq!((model.sort, first(&model)), (Column::Count, "812 postgres".to_owned()));
    type_keys(&mut model, "r");
    assert_eq!(first(&model), "4194303 hmm-tests\\x0a");
    type_keys(&mut model, "sss");
    assert_eq!((model.sort, first(&model)), (Column::P50, "4194303 hmm-tests\\x0a".to_owned()));
    // What has no value comes last.
    assert_eq!(model.rows()[3].label, "1 systemd");
    type_keys(&mut model, "a");
    assert_eq!(model.rows()[1].label, "1 systemd");
}

#[test]
fn the_chosen_row_stays_chosen_when_the_order_changes() {
    let mut model = model();
    type_keys(&mut model, "D");
    let rows = model.rows();
    assert_eq!(rows[model.place(&rows)].label, "812 postgres");
    type_keys(&mut model, "s");
    let rows = model.rows();
    assert_eq!((model.place(&rows), rows[0].label.as_str()), (0, "812 postgres"));
}

#[test]
fn a_pause_keeps_what_is_shown_but_not_the_losses() {
    let mut model = model();
    let before = shown(&model, 80, 24);
    type_keys(&mut model, " ");
    let more = row(Kind::TryToUnmap, 5, "new", &[1; 500], &[]);
    let losses = Losses { lost: 3, ..Losses::default() };
    model.take(Sample { at: 13_000_000_000, rows: vec![more], losses, ..sample() });
    let paused = shown(&model, 80, 24);
    assert!(paused.contains("PAUSED at 12.0 s") && paused.contains("lost 3"), "{paused}");
    let rows = |text: &str| text.lines().skip(3).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(rows(&paused), rows(&before));
    type_keys(&mut model, " ");
    assert!(shown(&model, 80, 24).contains("5 new"));
}

#[test]
fn a_filter_is_typed_and_taken_back() {
    let mut model = model();
    type_keys(&mut model, "/KSWAP\n");
    assert_eq!(model.rows().len(), 1);
    // Letters are commands again.
    assert_eq!(type_keys(&mut model, "q"), Wish::Quit);
    type_keys(&mut model, "\x1b");
    assert_eq!(model.rows().len(), 4);
}

#[test]
fn a_row_is_looked_into() {
    let mut model = model();
    let wish = type_keys(&mut model, "dc\n");
    let task = Some(Task::Process(31, "31 kswapd0".to_owned()));
    let question = Question { by: By::Cpu, of: Some(Of::Latency) };
    let view = View { question, event: Some(Kind::TryToUnmap), task };
    assert_eq!(wish, Wish::View(view.clone()));
    assert_eq!(type_keys(&mut model, "u"), Wish::Nothing);
    model.attach(view);
    assert_eq!(model.state, State::Attaching);
    // Nothing else is asked for meanwhile.
    assert_eq!(type_keys(&mut model, "u"), Wish::Nothing);
    model.attached(1, 1, Vec::new());
    assert_eq!(type_keys(&mut model, "u"), Wish::Back);
    assert!(model.go_back() && !model.go_back());
}

#[test]
fn bounce_buffers_are_not_looked_into_by_process() {
    let view = View::new(Question { by: By::Process, of: None });
    let key = Key { kind: Kind::SwiotlbMapSingle, group: GroupKey::Number(7) };
    assert_eq!(view.narrowed(&key, "7 x").task, None);
}

#[test]
fn the_same_view_is_not_counted_anew() {
    let mut model = model();
    assert_eq!(type_keys(&mut model, "g\n"), Wish::Nothing);
    assert!(matches!(model.mode, Mode::Table));
}
