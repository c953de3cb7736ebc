//! The kernel's switches, watched: their files stay open, and every write to them is noticed, however soon it is
//! taken back.

use std::ffi::CString;
use std::fs::File;
use std::mem::offset_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::kernel::{Switch, SwitchState, SystemFiles};

/// What the switches are, and were since the last look.
pub struct Switches {
    open: Vec<Open>,
    /// Tells of writes; `None` where the kernel has no inotify to give.
    inotify: Option<OwnedFd>,
}

struct Open {
    switch: Switch,
    file: File,
    /// The number by which inotify knows it.
    watch: Option<i32>,
}

impl Switches {
    /// Opens what can be opened; that needs the privilege of the session's start, reading does not.
    pub fn open(system: &SystemFiles) -> Self {
        let inotify = inotify();
        let open = Switch::ALL.into_iter().filter_map(|switch| {
            let path = system.path(switch.path(system)?);
            let file = File::open(&path).ok()?;
            let watch = inotify.as_ref().and_then(|inotify| watch(inotify, &path));
            Some(Open { switch, file, watch })
        });
        Self { open: open.collect(), inotify }
    }

    /// How a switch is now.
    pub fn state(&self, switch: Switch) -> SwitchState {
        let Some(open) = self.open.iter().find(|open| open.switch == switch) else {
            return SwitchState::Unknown;
        };
        let mut text = [0; 8];
        let length = open.file.read_at(&mut text, 0);
        SwitchState::of(length.map(|length| String::from_utf8_lossy(&text[..length]).into_owned()))
    }

    /// Switches that were written since this was asked last.
    pub fn written(&mut self) -> Vec<Switch> {
        let Some(inotify) = &self.inotify else { return Vec::new() };
        let mut written = Vec::new();
        let mut buffer = [0_u8; 4096];
        loop {
            // SAFETY: the kernel writes no more than the buffer takes.
            let length = unsafe { libc::read(inotify.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
            let Some(events) = usize::try_from(length).ok().filter(|length| *length > 0) else { break };
            for watch in watches(&buffer[..events]) {
                let all = watch == OVERFLOW;
                let of = self.open.iter().filter(|open| all || open.watch == Some(watch));
                written.extend(of.map(|open| open.switch));
            }
        }
        written
    }
}

/// The watch of an event that says that events were left out.
const OVERFLOW: i32 = -1;

/// The watches that a run of `struct inotify_event` names.
fn watches(mut events: &[u8]) -> Vec<i32> {
    const HEAD: usize = size_of::<libc::inotify_event>();
    let mut watches = Vec::new();
    while let Some((head, rest)) = events.split_at_checked(HEAD) {
        let word = |offset: usize| head.get(offset..offset + 4).and_then(|bytes| bytes.try_into().ok());
        let number = |offset: usize| word(offset).map_or(0, i32::from_ne_bytes);
        watches.push(number(offset_of!(libc::inotify_event, wd)));
        let name = usize::try_from(number(offset_of!(libc::inotify_event, len))).unwrap_or(usize::MAX);
        let Some(next) = rest.get(name..) else { break };
        events = next;
    }
    watches
}

fn inotify() -> Option<OwnedFd> {
    // SAFETY: takes flags only.
    let fd = unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) };
    // SAFETY: the kernel just made this descriptor for us.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}

fn watch(inotify: &OwnedFd, path: &Path) -> Option<i32> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    // SAFETY: the path is a string that ends with NUL.
    let watch = unsafe { libc::inotify_add_watch(inotify.as_raw_fd(), path.as_ptr(), libc::IN_MODIFY) };
    (watch >= 0).then_some(watch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_and_taken_back_is_noticed() {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("proc/sys/kernel/ftrace_enabled", "1\n"),
            ("proc/self/mounts", "x /d debugfs rw 0 0\n"),
            ("d/kprobes/enabled", "0\n"),
        ] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let mut switches = Switches::open(&SystemFiles::below(root.path()));
        assert_eq!(switches.state(Switch::Ftrace), SwitchState::On);
        assert_eq!(switches.state(Switch::Kprobes), SwitchState::Off);
        assert!(switches.written().is_empty());
        let ftrace = root.path().join("proc/sys/kernel/ftrace_enabled");
        std::fs::write(&ftrace, "0\n").unwrap();
        std::fs::write(&ftrace, "1\n").unwrap();
        assert!(switches.written().contains(&Switch::Ftrace));
        assert_eq!(switches.state(Switch::Ftrace), SwitchState::On);
        assert!(switches.written().is_empty());
    }

    #[test]
    fn what_is_not_there_is_unknown() {
        let root = tempfile::tempdir().unwrap();
        let mut switches = Switches::open(&SystemFiles::below(root.path()));
        assert_eq!(switches.state(Switch::Ftrace), SwitchState::Unknown);
        assert!(switches.written().is_empty());
    }

    #[test]
    fn events_that_are_cut_end_the_list() {
        let mut event = Vec::new();
        for word in [7_i32, 2, 0, 0] {
            event.extend(word.to_ne_bytes());
        }
        assert_eq!(watches(&[event.clone(), event.clone()].concat()), [7, 7]);
        assert!(watches(&event[..15]).is_empty());
        event[12] = 16;
        assert_eq!(watches(&event), [7]);
    }
}
