//! The loop of the screen: one session after the other, keys, signals.

use std::io::Write;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{Event, poll, read};
use rmapscope::Error;
use rmapscope::event::Kind;
use rmapscope::session::endings::{Endings, cannot_wait};
use rmapscope::session::{Command, Ended};
use rmapscope::top::keys::{Wish, press};
use rmapscope::top::{Model, State, Stop, View};
use tokio::runtime::Runtime;

use super::super::live::{exit_code, runtime};
use super::super::{GlobalArgs, standard_output, summary};
use super::session::{Message, Outcome, session};
use super::terminal::{Screen, give_back};
use super::{Setting, WITHOUT_A_SCREEN};

/// Keys and numbers are looked for so often.
const LOOK: Duration = Duration::from_millis(50);

/// Shows sessions until the end. Returns the exit code.
pub fn watch(
    setting: &Setting<'_>,
    view: View,
    kinds: Vec<Kind>,
    mut command: Option<Command>,
    global: &GlobalArgs,
) -> Result<u8, Error> {
    let runtime = runtime()?;
    let endings = runtime.block_on(async { Endings::listen() }).map_err(cannot_wait)?;
    global.status().note("attaching");
    let model = Model::new(view, kinds, format!("{:?}", setting.args.interval));
    let mut ui = Ui { setting, model, screen: None, runtime, endings, wish: Wish::Nothing, failure: None };
    let begin = Instant::now();
    let mut last: Option<(Ended, Vec<u8>)> = None;
    let mut error = None;
    loop {
        let left = setting.args.session.duration.map(|all| all.saturating_sub(begin.elapsed()));
        // The command may have ended, or the time may be over, between two sessions.
        let has_ended = command.as_mut().is_some_and(|command| matches!(command.try_wait(), Ok(Some(_))));
        if last.is_some() && (has_ended || left == Some(Duration::ZERO)) {
            break;
        }
        let is_first = last.is_none();
        let outcome = ui.show(left, command, is_first);
        command = outcome.command;
        match outcome.result {
            Ok(ended) => last = Some(ended),
            Err(failure)
                if last.is_some() && error.is_none() && ui.failure.is_none() && ui.model.go_back() =>
            {
                ui.model.message = Some(format!("{}; back again", failure.cause));
                error = Some(failure);
                continue;
            }
            Err(failure) => return Err(failure),
        }
        error = None;
        match std::mem::replace(&mut ui.wish, Wish::Nothing) {
            Wish::View(view) => ui.model.attach(view),
            Wish::Back => _ = ui.model.go_back(),
            wish => {
                ui.wish = wish;
                break;
            }
        }
    }
    let Ui { wish, failure, screen, .. } = ui;
    drop(screen);
    if let Some(failure) = failure {
        return Err(failure);
    }
    let Some((ended, table)) = last else { return Ok(0) };
    if wish != Wish::Quit {
        standard_output::lock()?.write_all(&table).map_err(rmapscope::output::PrintError)?;
    }
    summary::overhead(&ended, global.status());
    summary::print(&ended, None, global.status());
    let status = command.as_mut().and_then(|command| command.try_wait().ok().flatten());
    Ok(status.map_or_else(
        || exit_code(&ended),
        |status| u8::try_from(rmapscope::session::command::exit_code(status)).unwrap_or(u8::MAX),
    ))
}

/// The screen and what changes it.
struct Ui<'a> {
    setting: &'a Setting<'a>,
    model: Model,
    /// None before the first probes are attached.
    screen: Option<Screen>,
    runtime: Runtime,
    endings: Endings,
    /// What comes after the session that goes on.
    wish: Wish,
    /// Why there is no screen any more.
    failure: Option<Error>,
}

/// Ends the session when whoever watches it goes away.
struct EndOnDrop<'a>(&'a Stop);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.end("the screen is gone");
    }
}

impl Ui<'_> {
    /// Shows one session.
    fn show(&mut self, left: Option<Duration>, command: Option<Command>, is_first: bool) -> Outcome {
        let stop = Stop::default();
        let (sender, messages) = channel();
        let (setting, view) = (self.setting, self.model.view().clone());
        thread::scope(|scope| {
            let _end = EndOnDrop(&stop);
            let stop = &stop;
            let work = move || session(setting, &view, left, command, is_first, &sender, stop);
            let thread = scope.spawn(work);
            while !thread.is_finished() {
                self.wait(stop);
                self.take(&messages, stop);
                self.type_keys(stop);
                self.draw(stop);
            }
            thread.join().unwrap_or_else(|panic| {
                give_back();
                resume_unwind(panic)
            })
        })
    }

    /// Waits a little, and ends the session when a signal comes.
    fn wait(&mut self, stop: &Stop) {
        let Self { runtime, endings, .. } = self;
        let signal = runtime.block_on(async { tokio::time::timeout(LOOK, endings.next()).await });
        let Ok(signal) = signal else { return };
        if self.model.state == State::Ending {
            // The second one ends the program at once.
            give_back();
            std::process::exit(128 + number(signal));
        }
        self.end(Wish::Nothing, signal, stop);
    }

    fn end(&mut self, wish: Wish, reason: &'static str, stop: &Stop) {
        self.wish = wish;
        self.model.state = State::Ending;
        stop.end(reason);
    }

    fn take(&mut self, messages: &Receiver<Message>, stop: &Stop) {
        for message in messages.try_iter() {
            match message {
                Message::Sample(sample) => self.model.take(sample),
                Message::Attached(attached, asked, notes) => {
                    let is_ending = self.model.state == State::Ending;
                    self.model.attached(attached, asked, notes);
                    if is_ending {
                        self.model.state = State::Ending;
                    } else if self.screen.is_none() {
                        match Screen::enter(self.setting.look) {
                            Ok(screen) => self.screen = Some(screen),
                            Err(error) => self.lose(&error, stop),
                        }
                    }
                }
            }
        }
    }

    /// The terminal has gone.
    fn lose(&mut self, error: &std::io::Error, stop: &Stop) {
        self.failure.get_or_insert_with(|| {
            Error::failure(format!("cannot use the terminal: {error}"), WITHOUT_A_SCREEN)
        });
        self.screen = None;
        self.end(Wish::Quit, "the terminal is gone", stop);
    }

    fn type_keys(&mut self, stop: &Stop) {
        while let Some(screen) = &self.screen {
            let event = match poll(Duration::ZERO) {
                Ok(true) => read(),
                Ok(false) => return,
                Err(error) => Err(error),
            };
            let wish = match event {
                Ok(Event::Key(key)) => press(&mut self.model, key, screen.page()),
                Ok(_) => Wish::Nothing,
                Err(error) => return self.lose(&error, stop),
            };
            match wish {
                Wish::Nothing => {}
                Wish::Quit => self.end(Wish::Quit, "quit", stop),
                wish if self.model.state != State::Ending => {
                    self.wish = wish;
                    self.model.state = State::Attaching;
                    stop.hand_over();
                }
                _ => {}
            }
        }
    }

    fn draw(&mut self, stop: &Stop) {
        if let Some(screen) = &mut self.screen
            && let Err(error) = screen.draw(&self.model)
        {
            self.lose(&error, stop);
        }
    }
}

/// The number of a signal that [`Endings`] names.
fn number(signal: &str) -> i32 {
    match signal {
        "SIGINT" => libc::SIGINT,
        "SIGHUP" => libc::SIGHUP,
        _ => libc::SIGTERM,
    }
}
