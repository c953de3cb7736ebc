//! The traced command: forked before everything else, released when every probe is attached.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::{Error, ExitCode, open_files};

/// A child process that waits for its release. Dropped before that, it ends without running anything.
#[derive(Debug)]
pub struct Command {
    name: OsString,
    pid: u32,
    /// One byte through here lets the child go on.
    release: Option<File>,
    /// The child's errno when it could not run the command; nothing when it could.
    failure: File,
    ended: Option<ExitStatus>,
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: the array has room for the two descriptors that the call makes.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both are open and belong to nobody else.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

impl Command {
    /// Forks the child. To be called while the process has a single thread.
    ///
    /// # Errors
    /// When the command is empty or holds a NUL, or the kernel refuses a process or a pipe.
    pub fn fork(words: &[OsString]) -> Result<Self, Error> {
        Self::fork_with(words, None)
    }

    /// The same, with other standard streams than this program's: an input, and one for both outputs.
    ///
    /// # Errors
    /// As [`Command::fork`].
    pub fn fork_with(words: &[OsString], streams: Option<(&File, &File)>) -> Result<Self, Error> {
        let nul = || Error::failure("the command contains a NUL byte", "remove it");
        let arguments: Vec<CString> = words
            .iter()
            .map(|word| CString::new(word.as_bytes()).map_err(|_| nul()))
            .collect::<Result<_, _>>()?;
        let name = words
            .first()
            .cloned()
            .ok_or_else(|| Error::failure("no command after `--`", "name a command, or drop `--`"))?;
        let failed = |error: io::Error| {
            let remedy = open_files::remedy(&error, "see `ulimit -u` and the cgroup's pids.max");
            Error::failure(format!("cannot start a process: {error}"), remedy)
        };
        let (gate, release) = pipe().map_err(failed)?;
        let (failure, report) = pipe().map_err(failed)?;
        let mut pointers: Vec<*const libc::c_char> =
            arguments.iter().map(|argument| argument.as_ptr()).collect();
        pointers.push(std::ptr::null());
        // SAFETY: the process has one thread, so the child may run ordinary code; it only runs `wait_and_exec`.
        match unsafe { libc::fork() } {
            -1 => Err(failed(io::Error::last_os_error())),
            0 => {
                drop((release, failure));
                if let Some((input, output)) = streams {
                    redirect(input, output);
                }
                wait_and_exec(File::from(gate), File::from(report), &pointers)
            }
            pid => Ok(Self {
                name,
                pid: pid.cast_unsigned(),
                release: Some(release.into()),
                failure: failure.into(),
                ended: None,
            }),
        }
    }

    /// The child's process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Lets the child run the command, and waits until it does.
    ///
    /// # Errors
    /// When the command cannot be run; the child has ended then.
    pub fn release(&mut self) -> Result<(), Error> {
        if let Some(mut gate) = self.release.take() {
            // A child that died meanwhile is seen below and by `try_wait`.
            let _ = gate.write_all(&[1]);
        }
        let mut errno = [0; 4];
        if self.failure.read_exact(&mut errno).is_err() {
            return Ok(());
        }
        let error = io::Error::from_raw_os_error(i32::from_ne_bytes(errno));
        let _ = self.wait();
        let code = match error.raw_os_error() {
            Some(libc::ENOENT) => ExitCode::CommandNotFound,
            _ => ExitCode::CommandNotExecutable,
        };
        Err(Error {
            cause: format!("cannot run `{}`: {error}", self.name.to_string_lossy().escape_debug()),
            remedy: "check its name, PATH and permissions".to_owned(),
            code,
        })
    }

    /// The status, if the child has ended.
    ///
    /// # Errors
    /// Those of `waitpid(2)`.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.reap(libc::WNOHANG)
    }

    /// Waits for the child's end.
    ///
    /// # Errors
    /// Those of `waitpid(2)`.
    pub fn wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.reap(0)
    }

    fn reap(&mut self, flags: libc::c_int) -> io::Result<Option<ExitStatus>> {
        while self.ended.is_none() {
            let mut status = 0;
            // SAFETY: the pointer is valid for the one write.
            match unsafe { libc::waitpid(self.pid.cast_signed(), &raw mut status, flags) } {
                0 => return Ok(None),
                -1 => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
                _ => self.ended = Some(ExitStatus::from_raw(status)),
            }
        }
        Ok(self.ended)
    }

    /// Sends the child a signal, if it still runs.
    pub fn signal(&self, signal: libc::c_int) {
        if self.ended.is_none() {
            // SAFETY: the child was not waited for, so the id is still its own.
            unsafe { libc::kill(self.pid.cast_signed(), signal) };
        }
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        // An unreleased child sees the end of the pipe and leaves; a released one runs on.
        if self.release.take().is_some() {
            let _ = self.wait();
        }
    }
}

/// The exit code that stands for a status: 128 + n for signal n.
pub fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Puts other files in the place of the standard streams, in the child.
fn redirect(input: &File, output: &File) {
    let streams = [(input, libc::STDIN_FILENO), (output, libc::STDOUT_FILENO), (output, libc::STDERR_FILENO)];
    for (file, number) in streams {
        // SAFETY: the file is open; that it takes the place of a standard stream is what is wanted.
        unsafe { libc::dup2(file.as_raw_fd(), number) };
    }
}

/// Waits in the child for the release and runs the command there.
fn wait_and_exec(mut gate: File, mut report: File, arguments: &[*const libc::c_char]) -> ! {
    let mut byte = [0];
    let released = gate.read_exact(&mut byte).is_ok();
    if !released {
        // SAFETY: ends the child without running what the parent has registered for its own end.
        unsafe { libc::_exit(0) };
    }
    if !crate::inherited::pipe_is_ignored() {
        // SAFETY: Rust ignores SIGPIPE; the command must find it as this program did.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    }
    // SAFETY: a NULL-terminated array of NUL-terminated strings that outlive the call.
    unsafe { libc::execvp(arguments[0], arguments.as_ptr()) };
    let errno = io::Error::last_os_error().raw_os_error().unwrap_or(0);
    let _ = report.write_all(&errno.to_ne_bytes());
    // SAFETY: as above.
    unsafe { libc::_exit(ExitCode::CommandNotExecutable as i32) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    fn run(command: &[&str]) -> i32 {
        let mut command = Command::fork(&words(command)).expect("a process can be made");
        command.release().expect("it can be run");
        exit_code(command.wait().expect("it can be waited for").expect("it ended"))
    }

    #[test]
    fn statuses_come_back() {
        assert_eq!(run(&["true"]), 0);
        assert_eq!(run(&["sh", "-c", "exit 7"]), 7);
        assert_eq!(run(&["sh", "-c", "kill -KILL $$"]), 128 + libc::SIGKILL);
    }

    #[test]
    fn a_command_writes_where_it_is_told() {
        let (input, output) = (File::open("/dev/null").unwrap(), tempfile::tempfile().unwrap());
        let script = words(&["sh", "-c", "cat; echo out; echo err >&2"]);
        let mut command =
            Command::fork_with(&script, Some((&input, &output))).expect("a process can be made");
        command.release().expect("it can be run");
        command.wait().expect("it can be waited for");
        let mut text = String::new();
        io::Seek::rewind(&mut &output).unwrap();
        (&output).read_to_string(&mut text).unwrap();
        assert_eq!(text, "out\nerr\n");
    }

    #[test]
    fn nothing_runs_before_the_release() {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let mark = directory.path().join("mark");
        let script = format!("touch {}", mark.display());
        let mut command = Command::fork(&words(&["sh", "-c", &script])).expect("a process can be made");
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(!mark.exists());
        command.release().expect("it can be run");
        command.wait().expect("it can be waited for");
        assert!(mark.exists());
    }

    #[test]
    fn a_command_that_is_never_released_never_runs() {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let mark = directory.path().join("mark");
        let script = format!("touch {}", mark.display());
        drop(Command::fork(&words(&["sh", "-c", &script])).expect("a process can be made"));
        assert!(!mark.exists());
    }

    #[test]
    fn a_missing_command_is_named() {
        let mut command = Command::fork(&words(&["/no/such/command"])).expect("a process can be made");
        let error = command.release().expect_err("it cannot be run");
        assert!(error.cause.contains("/no/such/command"), "{}", error.cause);
        assert_eq!(error.code, ExitCode::CommandNotFound);
    }
}
