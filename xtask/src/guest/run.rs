//! Boots a guest, follows it to its end and says how it ended.

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::arguments::{RunFiles, STDERR_CONNECTIONS, arguments};
use super::console::{complaints, panic_line, tail, trouble};
use super::reaper::Reaper;
use super::stream::{Kept, Pass};
use super::{Guest, GuestError, Outcome, script};
use crate::cache;

/// How often the state of the guest is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How long a panicked kernel may take to stop by itself, so that its last lines are complete.
const AFTER_PANIC: Duration = Duration::from_secs(10);
/// Lines of the console in an error.
const TAIL_LINES: usize = 25;
/// How long the readers may take for what QEMU left in pipes and sockets.
const DRAIN: Duration = Duration::from_secs(5);

/// What came out of a guest, filled by threads of its own.
#[derive(Default)]
struct Streams {
    stdout: Kept,
    stderr: Kept,
    console: Kept,
}

enum End {
    Exited,
    Panicked,
    TimedOut,
}

impl Guest {
    /// Boots the guest, runs `command` with bash as root in the current folder and waits for the guest's end.
    pub fn run(&self, command: &str) -> Result<Outcome, GuestError> {
        let started = Instant::now();
        let vng = self.vng_program()?;
        if !self.kernel.is_file() {
            return Err(GuestError::NoKernel(self.kernel.clone()));
        }
        fs::create_dir_all(cache::runs()).map_err(GuestError::io(format!("{}", cache::runs().display())))?;
        let scratch = tempfile::Builder::new()
            .prefix("run-")
            .tempdir_in(cache::runs())
            .map_err(GuestError::io(format!("{}", cache::runs().display())))?;
        let files = RunFiles { folder: scratch.path() };
        self.write_files(command, &files)?;
        let listener =
            UnixListener::bind(files.stderr()).map_err(GuestError::io("socket for the guest's stderr"))?;

        let mut reaper = Reaper::start(&files.pid(), files.folder).map_err(GuestError::io("/bin/sh"))?;
        let mut child = self.spawn(&vng, &arguments(self, &files)?)?;
        let streams = Streams::default();
        let readers = self.follow(&mut child, listener, &streams);
        let end = self.wait(&mut child, started, &streams.console);
        reaper.stop();
        if !matches!(end, Ok(End::Exited)) {
            // QEMU is gone, so vng ends by itself, unless it never came to start QEMU.
            thread::sleep(LOOK * 4);
            let _ = child.kill();
        }
        let _ = child.wait();
        drain(&readers, &files);
        self.outcome(end?, &files, &streams, started)
    }

    fn vng_program(&self) -> Result<PathBuf, GuestError> {
        let program = match (&self.vng, env::var_os("RMAPSCOPE_VNG")) {
            (Some(program), _) => program.clone(),
            (None, Some(program)) => program.into(),
            (None, None) => cache::venv().join("bin/vng"),
        };
        if program.is_file() { Ok(program) } else { Err(GuestError::NoVng(program)) }
    }

    fn write_files(&self, command: &str, files: &RunFiles) -> Result<(), GuestError> {
        let folder = env::current_dir().map_err(GuestError::io("current folder"))?;
        let text = script::script(self, command, &folder);
        fs::write(files.script(), text).map_err(GuestError::io("script for the guest"))?;
        if self.disk.is_some() {
            File::create(files.disk())
                .and_then(|file| file.set_len(self.disk_megabytes << 20))
                .map_err(GuestError::io("disk image for the guest"))?;
        }
        Ok(())
    }

    fn spawn(&self, vng: &Path, arguments: &[String]) -> Result<Child, GuestError> {
        // vng looks for virtme-run on PATH.
        let mut path = vng.parent().unwrap_or(Path::new("/")).as_os_str().to_owned();
        path.push(":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        Command::new(vng)
            .args(arguments)
            .env("PATH", path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(GuestError::io(vng.display().to_string()))
    }

    /// Starts the threads that keep what the guest prints. They end with QEMU; the receiver is disconnected
    /// when all have.
    fn follow(&self, child: &mut Child, listener: UnixListener, streams: &Streams) -> Receiver<()> {
        let (out, error) =
            if self.live { (Pass::Stdout, Pass::Stderr) } else { (Pass::Nowhere, Pass::Nowhere) };
        let (running, readers) = channel();
        if let Some(pipe) = child.stdout.take() {
            keep(pipe, &streams.stdout, out, &running);
        }
        if let Some(pipe) = child.stderr.take() {
            keep(pipe, &streams.console, Pass::Nowhere, &running);
        }
        let kept = streams.stderr.clone();
        thread::spawn(move || {
            for connection in listener.incoming().take(STDERR_CONNECTIONS).flatten() {
                keep(connection, &kept, error, &running);
            }
        });
        readers
    }

    fn wait(&self, child: &mut Child, started: Instant, console: &Kept) -> Result<End, GuestError> {
        let mut seen = 0;
        let mut panicked: Option<Instant> = None;
        loop {
            if child.try_wait().map_err(GuestError::io("vng"))?.is_some() {
                return Ok(if panicked.is_some() { End::Panicked } else { End::Exited });
            }
            if panicked.is_none() && console.len() != seen {
                seen = console.len();
                panicked = panic_line(&console.text()).map(|_| Instant::now());
            }
            if panicked.is_some_and(|since| since.elapsed() > AFTER_PANIC) {
                return Ok(End::Panicked);
            }
            if started.elapsed() > self.timeout {
                return Ok(End::TimedOut);
            }
            thread::sleep(LOOK);
        }
    }

    fn outcome(
        &self,
        end: End,
        files: &RunFiles,
        streams: &Streams,
        started: Instant,
    ) -> Result<Outcome, GuestError> {
        let console = streams.console.text();
        if let Some(line) = panic_line(&console) {
            let (line, tail) = (line.into(), trouble(&console, TAIL_LINES));
            return Err(GuestError::Panic { line, tail, console });
        }
        let last = tail(&console, TAIL_LINES);
        if matches!(end, End::TimedOut) {
            let hint = match complaints(&console).first() {
                Some(line) => format!("; it complained: {line}"),
                None => String::new(),
            };
            return Err(GuestError::Timeout { after: self.timeout, hint, tail: last, console });
        }
        let status = fs::read_to_string(files.status()).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(String::new()),
            _ => Err(GuestError::io("status of the guest's command")(error)),
        })?;
        match status.trim().parse::<u8>() {
            Ok(status) => Ok(Outcome {
                status,
                stdout: streams.stdout.bytes(),
                stderr: streams.stderr.bytes(),
                console,
                elapsed: started.elapsed(),
            }),
            Err(_) => Err(GuestError::NoStatus { tail: last, console }),
        }
    }
}

fn keep(from: impl io::Read + Send + 'static, kept: &Kept, pass: Pass, running: &Sender<()>) {
    let (kept, running) = (kept.clone(), running.clone());
    thread::spawn(move || {
        kept.fill(from, pass);
        drop(running);
    });
}

/// Waits until the readers have all that QEMU left behind.
fn drain(readers: &Receiver<()>, files: &RunFiles) {
    // A QEMU that never started leaves the listener waiting; once it has its connections, these fail.
    for _ in 0..STDERR_CONNECTIONS {
        let _ = UnixStream::connect(files.stderr());
    }
    let _ = readers.recv_timeout(DRAIN);
}
