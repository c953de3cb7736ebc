//! What this process was given by whoever started it.
//!
//! Two things are looked at before Rust's own start changes them: `std` ignores SIGPIPE, and opens /dev/null in place
//! of a standard stream that is closed (library/std/src/sys/pal/unix/mod.rs, `reset_sigpipe` and
//! `sanitize_standard_fds`), so that what is printed would be gone without an error.

use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};

static OUTPUT_IS_CLOSED: AtomicBool = AtomicBool::new(false);
static PIPE_IS_IGNORED: AtomicBool = AtomicBool::new(false);

extern "C" fn look() {
    // SAFETY: only asks for the descriptor's flags.
    let output = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
    OUTPUT_IS_CLOSED.store(output == -1, Ordering::Relaxed);
    PIPE_IS_IGNORED.store(is_ignored(libc::SIGPIPE), Ordering::Relaxed);
}

/// The C library calls what stands here before `main`.
#[used]
// SAFETY: the section holds pointers to functions of this type; this one needs nothing of Rust's runtime.
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

/// Whether there was no standard output.
fn output_is_closed() -> bool {
    OUTPUT_IS_CLOSED.load(Ordering::Relaxed)
}

/// Standard output.
///
/// # Errors
/// When there was none: what is written to it would be gone.
pub fn output() -> io::Result<io::Stdout> {
    if output_is_closed() { Err(io::Error::from_raw_os_error(libc::EBADF)) } else { Ok(io::stdout()) }
}

/// Whether SIGPIPE was ignored.
pub fn pipe_is_ignored() -> bool {
    PIPE_IS_IGNORED.load(Ordering::Relaxed)
}

/// Whether a signal is ignored now. Before this program changes anything that is so for those that were ignored when
/// it started, as `nohup` and shells that start something in the background want it.
pub fn is_ignored(signal: libc::c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: asks for the action and changes none; the place has room for it.
    let asked = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: filled in by the successful call.
    asked == 0 && unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_seen() {
        // `std` ignores it, and a test is started as any program is.
        assert!(is_ignored(libc::SIGPIPE));
        assert!(!output_is_closed());
        assert!(!is_ignored(libc::SIGKILL));
    }
}
