//! The clock of the events: `CLOCK_MONOTONIC` of the first time namespace, as `bpf_ktime_get_ns` reads it.

use std::fs;
use std::sync::OnceLock;

use crate::Error;

/// Nanoseconds that this process's `CLOCK_MONOTONIC` is ahead, from `/proc/self/timens_offsets` (time_namespaces(7)).
static AHEAD: OnceLock<i64> = OnceLock::new();

/// Now, in nanoseconds.
pub fn now() -> u64 {
    let ahead =
        *AHEAD.get_or_init(|| fs::read_to_string("/proc/self/timens_offsets").map_or(0, |text| ahead(&text)));
    (read(libc::CLOCK_MONOTONIC) - ahead).unsigned_abs()
}

/// Nanoseconds of a clock that every Linux has, as this process's time namespace shows it.
pub fn read(clock: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a place for one timespec.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// The file tells the offsets of the namespace of future children; whether that is this process's own too.
///
/// # Errors
/// A prerequisite when it is another one: then nobody knows how far this process's clock is off.
pub fn check() -> Result<(), Error> {
    let link = |name: &str| fs::read_link(format!("/proc/self/ns/{name}")).ok();
    if link("time") == link("time_for_children") {
        return Ok(());
    }
    Err(Error::prerequisite(
        "this process made a time namespace that it is not in, so how far its clock is from the kernel's is unknown",
        "start rmapscope as a child: unshare -T --fork rmapscope ...",
    ))
}

/// The offset of the monotonic clock, from lines of name, seconds and nanoseconds.
fn ahead(text: &str) -> i64 {
    let line = text.lines().find_map(|line| line.strip_prefix("monotonic"));
    let mut numbers = line.into_iter().flat_map(str::split_ascii_whitespace).map(str::parse::<i64>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(seconds)), Some(Ok(nanoseconds))) => seconds * 1_000_000_000 + nanoseconds,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_of_a_time_namespace_is_read() {
        assert_eq!(
            ahead("monotonic     1000000         0\nboottime            0         0\n"),
            1_000_000_000_000_000
        );
        assert_eq!(ahead("monotonic  -7 5\n"), -6_999_999_995);
        assert_eq!(ahead(""), 0);
    }
}
