//! The limit on open files: a session needs some hundred, a program, a link or an event of each probe.

use std::io;

/// Descriptors that a session of every probe needs.
pub const MOST_OPEN: u64 = 500;

/// Raises this process's limit as far as it may. A command that was forked before keeps its own.
pub fn raise_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the place has room for the answer.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0 && limit.rlim_cur < limit.rlim_max
    {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: reads the limits; what it refuses stays as it was, and is told when files run out.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    }
}

/// What helps when this errno means that there is no descriptor left.
pub const fn remedy_of(errno: i32) -> Option<&'static str> {
    match errno {
        libc::EMFILE => Some("raise the limit of open files with `ulimit -n`: a session needs up to 500"),
        libc::ENFILE => Some("the system-wide limit of open files is reached: raise the sysctl fs.file-max"),
        _ => None,
    }
}

/// Whether this error comes from a lack of descriptors.
pub fn is_why(error: &io::Error) -> bool {
    error.raw_os_error().and_then(remedy_of).is_some()
}

/// What helps against this error: more open files, or else what the caller knows.
pub fn remedy<'a>(error: &io::Error, other: &'a str) -> &'a str {
    error.raw_os_error().and_then(remedy_of).unwrap_or(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_missing_descriptors_are_helped_by_more_of_them() {
        let remedy = |errno| remedy(&io::Error::from_raw_os_error(errno), "other");
        assert!(remedy(libc::EMFILE).contains("`ulimit -n`"));
        assert!(remedy(libc::ENFILE).contains("fs.file-max"));
        assert_eq!(remedy(libc::ENOMEM), "other");
        assert_eq!(remedy(libc::EPERM), "other");
    }

    #[test]
    fn the_limit_is_raised_as_far_as_it_may() {
        raise_limit();
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 1 };
        // SAFETY: the place has room for the answer.
        unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
        assert_eq!(limit.rlim_cur, limit.rlim_max);
    }
}
