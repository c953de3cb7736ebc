//! One view's session, on a thread of its own: it gives up its privileges there, and the next view's session still has
//! them (capabilities belong to threads, capabilities(7)).

use std::sync::mpsc::Sender;
use std::time::Duration;

use rmapscope::Error;
use rmapscope::event::EventName;
use rmapscope::kernel::{SystemFiles, pool_use};
use rmapscope::session::endings::Endings;
use rmapscope::session::{Command, CountingOptions, Ended, gaps};
use rmapscope::top::{Sample, Sampler, Stop, Task, View};
use tracer_common::family::Family;

use super::super::live::{attach, runtime};
use super::Setting;

/// What a session says while it goes on.
pub enum Message {
    /// Probes are attached: so many, of so many; and what cannot be seen although they are.
    Attached(usize, usize, Vec<String>),
    /// An interval has ended.
    Sample(Sample),
}

/// What is left when it has ended.
pub struct Outcome {
    /// The command, which may go on.
    pub command: Option<Command>,
    /// How it ended, and everything that it counted as a table; or why it could not be.
    pub result: Result<(Ended, Vec<u8>), Error>,
}

/// Counts a view until something ends it. The first session releases the command; later ones watch the children that
/// it has by then, too.
pub fn session(
    setting: &Setting<'_>,
    view: &View,
    left: Option<Duration>,
    mut command: Option<Command>,
    is_first: bool,
    messages: &Sender<Message>,
    stop: &Stop,
) -> Outcome {
    let result = count(setting, view, left, command.as_mut(), is_first, messages, stop);
    Outcome { command, result }
}

fn count(
    setting: &Setting<'_>,
    view: &View,
    left: Option<Duration>,
    command: Option<&mut Command>,
    is_first: bool,
    messages: &Sender<Message>,
    stop: &Stop,
) -> Result<(Ended, Vec<u8>), Error> {
    let args = &setting.args.session;
    let mut choice = setting.choice.clone();
    if let Some(event) = view.event {
        choice.events = vec![EventName::Event(event)];
    }
    let mut watched = command.as_deref().filter(|_| !args.all);
    match &view.task {
        Some(Task::Process(pid, _)) => {
            choice.pids = vec![*pid];
            watched = None;
        }
        Some(Task::Thread(tid, _)) => choice.tids = vec![*tid],
        None => {}
    }
    // The screen has no place for the programs' log.
    let mut options = args.options(&choice, watched, 0)?;
    options.filters.living_children = watched.is_some() && !is_first && !args.no_inherit;
    options.filters.follow_children &= !matches!(view.task, Some(Task::Process(..)));
    options.duration = left;
    let interval = Some(setting.args.interval);
    options.count(CountingOptions { question: view.question, interval });
    let bounces = options.request.kinds.iter().any(|kind| kind.family() == Family::Swiotlb);
    let live = attach(args, options)?;

    let reports = live.reports();
    let (asked, attached) = gaps::coverage(&reports);
    let silences = live.silences();
    let silent = silences.iter().map(|silence| {
        let points = silence.points.len();
        format!("{points} probes cannot fire: {}; try: {}", silence.reason, silence.remedy)
    });
    let missing =
        gaps::gaps(&reports).map(|gap| format!("not: {}, {}", gap.point, gaps::reason(&gap.outcome)));
    // Nobody is there to be told when the screen is gone.
    let _ = messages.send(Message::Attached(attached, asked, silent.chain(missing).collect()));
    let kernel = live.kernel().clone();
    let system = SystemFiles::live();
    let pools = || if bounces { pool_use(&system) } else { Vec::new() };
    let mut sampler = Sampler::new(view.question, &kernel, stop, pools, |sample| {
        let _ = messages.send(Message::Sample(sample));
    });
    let ended = runtime()?.block_on(live.run(command, &mut sampler, Endings::default()))?;
    Ok((ended, sampler.table()))
}
