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
use super::{Accelerator, Guest, GuestError, Outcome, arm64, script};
use crate::architecture::Architecture;
use crate::{cache, emulator, process};

/// How often the state of the guest is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How long a panicked kernel may take to stop by itself, so that its last lines are complete.
const AFTER_PANIC: Duration = Duration::from_secs(10);
/// Lines of the console in an error.
const TAIL_LINES: usize = 25;

/// Lines of a kernel that panicked: the stacks of a stall are long, and the one that matters may be the last.
const TROUBLE_LINES: usize = 80;
/// How often one that does not is booted again: an emulated PC stands still while its devices are found, once in some
/// hundred boots (6.1 after the line `i8042: PNP: PS/2 Controller`), before anything of ours has run.
const BOOTS: u32 = 3;
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
    /// It did not come to its command.
    NotBooted,
    TimedOut,
}

impl Guest {
    /// Boots the guest, runs `command` with bash as root in the current folder and waits for the guest's end.
    ///
    /// A guest that does not come to its command is booted again, and that is said.
    pub fn run(&self, command: &str) -> Result<Outcome, GuestError> {
        for _ in 1..BOOTS {
            match self.run_once(command) {
                Err(error @ GuestError::NotBooted { .. }) => {
                    eprintln!("xtask: {error}\nxtask: booting it again")
                }
                end => return end,
            }
        }
        self.run_once(command)
    }

    fn run_once(&self, command: &str) -> Result<Outcome, GuestError> {
        let started = Instant::now();
        let architecture = Architecture::of_image(&self.kernel);
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
        let mut starter = match architecture {
            Architecture::Amd64 => self.by_virtme(&files)?,
            Architecture::Arm64 => self.by_qemu(&files)?,
        };
        let listener =
            UnixListener::bind(files.stderr()).map_err(GuestError::io("socket for the guest's stderr"))?;

        let mut reaper = Reaper::start(&files.pid(), files.folder).map_err(GuestError::io("/bin/sh"))?;
        let name = starter.get_program().display().to_string();
        let mut child = starter
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(GuestError::io(name))?;
        let streams = Streams::default();
        let readers = self.follow(&mut child, listener, &streams);
        let end = self.wait(&mut child, started, &files, &streams.console);
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

    fn by_virtme(&self, files: &RunFiles) -> Result<Command, GuestError> {
        if self.restricted_pool.is_some() {
            return Err(GuestError::Option(
                "only device-tree machines have restricted pools: use a kernel for arm64".into(),
            ));
        }
        let vng = self.vng_program()?;
        let counts = self.accelerator == Accelerator::InstructionCount;
        let emulator = if counts { emulator::for_counting() } else { emulator::find() };
        let emulator = emulator.ok_or(GuestError::NoQemu(Architecture::Amd64.emulator()))?;
        // vng looks for virtme-run on PATH.
        let mut path = vng.parent().unwrap_or(Path::new("/")).as_os_str().to_owned();
        path.push(":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        let mut command = Command::new(vng);
        command.args(arguments(self, files, emulator)?);
        command.envs(emulator.modules().map(|folder| ("QEMU_MODULE_DIR", folder))).env("PATH", path);
        Ok(command)
    }

    fn by_qemu(&self, files: &RunFiles) -> Result<Command, GuestError> {
        if self.accelerator != Accelerator::Tcg {
            return Err(GuestError::Option("guests of arm64 do not support --icount".into()));
        }
        let name = Architecture::Arm64.emulator();
        let program = process::find(name).ok_or(GuestError::NoQemu(name))?;
        let mut command = Command::new(&program);
        command.args(arm64::prepare(self, files, &program)?);
        Ok(command)
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

    fn wait(
        &self,
        child: &mut Child,
        started: Instant,
        files: &RunFiles,
        console: &Kept,
    ) -> Result<End, GuestError> {
        let mut seen = 0;
        let mut has_booted = false;
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
            // The script's first word is there.
            has_booted = has_booted || fs::metadata(files.status()).is_ok_and(|file| file.len() > 0);
            if !has_booted && started.elapsed() > self.to_boot {
                return Ok(End::NotBooted);
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
            let (line, tail) = (line.into(), trouble(&console, TROUBLE_LINES));
            return Err(GuestError::Panic { line, tail, console });
        }
        let last = tail(&console, TAIL_LINES);
        if matches!(end, End::NotBooted) {
            return Err(GuestError::NotBooted { after: self.to_boot, tail: last, console });
        }
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
        match status.lines().last().unwrap_or_default().trim().parse::<u8>() {
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A vng that never boots anything until it was started so many times before, and then says that the command ended
    /// with 7.
    fn boots_after(folder: &Path, times: u32) -> Guest {
        let vng = folder.join("vng");
        let text = format!(
            "#!/bin/bash\n\
             echo the last line of the kernel >&2\n\
             echo started >>{0}/starts\n\
             [ $(wc -l <{0}/starts) -gt {times} ] || exec sleep 60\n\
             arguments=\"$*\"\n\
             status=${{arguments##*file,id=rmapscope2,path=}}\n\
             printf 'booted\\n7\\n' >${{status%% *}}\n",
            folder.display()
        );
        fs::write(&vng, text).expect("writable");
        fs::set_permissions(&vng, fs::Permissions::from_mode(0o755)).expect("ours");
        Guest::new(&vng).vng(&vng).to_boot(Duration::from_millis(300))
    }

    #[test]
    fn a_guest_that_stands_still_while_it_boots_is_booted_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let outcome = boots_after(folder.path(), 2).run("true").expect("boots the third time");
        assert_eq!(outcome.status, 7);
    }

    #[test]
    fn a_guest_that_never_boots_is_given_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = boots_after(folder.path(), 9).run("true").expect_err("it never boots");
        assert!(matches!(error, GuestError::NotBooted { .. }), "{error}");
        assert!(error.to_string().contains("the last line of the kernel"), "{error}");
        assert_eq!(fs::read_to_string(folder.path().join("starts")).expect("it started").lines().count(), 3);
    }
}
