//! Whether the processes and threads that somebody names are there, and are what they are named as.

use std::fs;
use std::io;

use crate::Error;

/// What a number stands for, by `/proc/ID/status`, which the kernel has for every thread, listed in /proc or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    /// Nothing.
    Nobody,
    /// A process: its first thread.
    Process,
    /// Another thread of a process.
    ThreadOf(u32),
    /// One that has ended, and waits for its parent to ask.
    Ended,
}

fn task(id: u32) -> io::Result<Task> {
    match fs::read_to_string(format!("/proc/{id}/status")) {
        Ok(status) => Ok(task_of(id, &status)),
        // A thread may end between opening and reading.
        Err(error)
            if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH) =>
        {
            Ok(Task::Nobody)
        }
        Err(error) => Err(error),
    }
}

fn task_of(id: u32, status: &str) -> Task {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let number = |name| field(name).and_then(|value| value.parse::<u32>().ok());
    match number("Tgid:") {
        Some(process) if process != id => Task::ThreadOf(process),
        // A first thread that has ended is a zombie as long as others of its process live.
        _ if field("State:").is_some_and(|state| state.starts_with(['Z', 'X']))
            && number("Threads:").is_none_or(|threads| threads <= 1) =>
        {
            Task::Ended
        }
        _ => Task::Process,
    }
}

/// Checks the processes and threads to watch.
///
/// # Errors
/// When one does not exist, has ended, or a thread is named as a process.
pub fn check(pids: &[u32], tids: &[u32]) -> Result<(), Error> {
    for (what, letter, id) in
        pids.iter().map(|id| ("process", 'p', *id)).chain(tids.iter().map(|id| ("thread", 't', *id)))
    {
        let task = task(id).map_err(|error| {
            Error::failure(format!("cannot find {what} {id}: {error}"), "check that /proc is mounted")
        })?;
        match task {
            Task::Nobody => {
                return Err(Error::failure(
                    format!("there is no {what} {id}"),
                    format!("check the number given with -{letter}; it is the one in this pid namespace"),
                ));
            }
            Task::Ended => {
                return Err(Error::failure(
                    format!("{what} {id} has ended: it is a zombie, which makes no more events"),
                    format!("name one that is running with -{letter}"),
                ));
            }
            Task::ThreadOf(process) if letter == 'p' => {
                return Err(Error::failure(
                    format!("{id} is a thread of process {process}"),
                    format!("use -t {id} for this thread alone, or -p {process} for the process"),
                ));
            }
            Task::Process | Task::ThreadOf(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_no_process() {
        let (send, receive) = std::sync::mpsc::channel();
        let (end, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            // SAFETY: takes nothing and only asks.
            send.send(unsafe { libc::gettid() }.cast_unsigned()).expect("the test waits");
            let _ = wait.recv();
        });
        let (pid, tid) = (std::process::id(), receive.recv().expect("the thread runs"));
        let error = check(&[tid], &[]).expect_err("it is no process");
        assert_eq!(error.cause, format!("{tid} is a thread of process {pid}"));
        assert_eq!(error.remedy, format!("use -t {tid} for this thread alone, or -p {pid} for the process"));
        check(&[pid], &[tid]).expect("both are there");
        drop(end);
        thread.join().expect("the thread ends");
    }

    #[test]
    fn who_is_not_there_is_named() {
        assert_eq!(check(&[0], &[]).expect_err("nobody").cause, "there is no process 0");
        assert_eq!(check(&[], &[0]).expect_err("nobody").cause, "there is no thread 0");
    }

    #[test]
    fn zombies_are_told_from_processes_whose_first_thread_has_ended() {
        let status =
            |state, threads| format!("Name:\tx\nState:\t{state}\nTgid:\t7\nPid:\t7\nThreads:\t{threads}\n");
        assert_eq!(task_of(7, &status("Z (zombie)", 1)), Task::Ended);
        assert_eq!(task_of(7, &status("Z (zombie)", 3)), Task::Process);
        assert_eq!(task_of(7, &status("S (sleeping)", 1)), Task::Process);
        assert_eq!(task_of(8, &status("S (sleeping)", 2)), Task::ThreadOf(7));
    }

    #[test]
    fn a_zombie_is_refused() {
        let mut child = std::process::Command::new("true").spawn().expect("it runs");
        let is_ended = |id| matches!(task(id), Ok(Task::Ended));
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !is_ended(child.id()) && std::time::Instant::now() < deadline {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let cause = check(&[child.id()], &[]).expect_err("it has ended").cause;
        child.wait().expect("it can be waited for");
        assert!(cause.contains("it is a zombie"), "{cause}");
    }
}
