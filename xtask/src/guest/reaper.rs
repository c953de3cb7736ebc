//! Ends QEMU when we end, in whatever way.
//!
//! virtme-ng starts QEMU behind a shell and a second Python process, so killing what we started would leave
//! QEMU behind. A small shell waits for the end of its standard input, whose other end only we hold: it is
//! closed by [`Reaper::stop`], by the drop, and by the kernel if we are killed. In that last case nobody reads
//! the files of the run any more, and the shell removes them too.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Waits for our end and then ends the QEMU whose pid is in a file. QEMU removes that file when it exits.
pub struct Reaper {
    shell: Child,
}

const SCRIPT: &str = r#"
read -r last_word
if [ -s "$1" ]; then
    pid=$(cat "$1")
    kill -TERM "$pid" 2>/dev/null
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        [ -e "$1" ] || break
        sleep 0.3
    done
    [ -e "$1" ] && kill -KILL "$pid" 2>/dev/null
fi
[ "$last_word" = stop ] || rm -rf -- "$2"
"#;

impl Reaper {
    /// Starts waiting. `pid_file` need not exist yet; `folder` has the files of the run.
    pub fn start(pid_file: &Path, folder: &Path) -> io::Result<Self> {
        let shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "reaper"])
            .args([pid_file, folder])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // An interrupt from the terminal must not take it before it did its work.
            .process_group(0)
            .spawn()?;
        Ok(Self { shell })
    }

    /// Ends QEMU if it runs; returns when it is gone.
    pub fn stop(&mut self) {
        if let Some(mut input) = self.shell.stdin.take() {
            let _ = input.write_all(b"stop\n");
        }
        // The shell cannot fail in a way that matters here: QEMU is gone, or was never there.
        let _ = self.shell.wait();
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn ends_the_process_and_keeps_the_files() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let mut process = Command::new("sleep").arg("60").spawn().expect("sleep runs");
        let pid_file = folder.path().join("pid");
        fs::write(&pid_file, process.id().to_string()).expect("written");
        let mut reaper = Reaper::start(&pid_file, folder.path()).expect("sh runs");
        // What QEMU does when it exits.
        let remove = pid_file.clone();
        let waiter = thread::spawn(move || {
            let status = process.wait();
            fs::remove_file(remove).map(|()| status)
        });
        reaper.stop();
        let status = waiter.join().expect("no panic").expect("removed").expect("waited");
        assert!(!status.success());
        assert!(folder.path().exists());
    }

    #[test]
    fn removes_the_files_when_nobody_said_stop() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let files = folder.path().join("run");
        fs::create_dir(&files).expect("created");
        let mut reaper = Reaper::start(&files.join("pid"), &files).expect("sh runs");
        drop(reaper.shell.stdin.take());
        for _ in 0..200 {
            if !files.exists() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("the files are still there");
    }
}
