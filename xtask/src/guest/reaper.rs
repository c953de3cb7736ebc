//! Ends QEMU when we end, in whatever way.
//!
//! virtme-ng starts QEMU behind a shell and a second Python process, so killing what we started would leave
//! QEMU behind. A small shell waits for the end of its standard input, whose other end only we hold: it is
//! closed by [`Reaper::stop`], by the drop, and by the kernel if we are killed.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Waits for our end and then ends the QEMU whose pid is in a file. QEMU removes that file when it exits.
pub struct Reaper {
    shell: Child,
}

const SCRIPT: &str = r#"
read -r _
[ -s "$1" ] || exit 0
pid=$(cat "$1")
kill -TERM "$pid" 2>/dev/null
for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ -e "$1" ] || exit 0
    sleep 0.3
done
kill -KILL "$pid" 2>/dev/null
"#;

impl Reaper {
    /// Starts waiting. `pid_file` need not exist yet.
    pub fn start(pid_file: &Path) -> io::Result<Self> {
        let shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "reaper"])
            .arg(pid_file)
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
        drop(self.shell.stdin.take());
        // The shell cannot fail in a way that matters here: QEMU is gone, or was never there.
        let _ = self.shell.wait();
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.stop();
    }
}
