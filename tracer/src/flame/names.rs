//! Names of frames that are no kernel functions, made so that no reader of folded stacks takes them apart.

use crate::escape::escape;
use crate::event::{Comm, Header, errno_name};

/// A thread without a known name.
pub const UNKNOWN_COMM: &str = "[unknown]";
/// A frame without a symbol: an address would differ from boot to boot.
pub const UNKNOWN_FUNCTION: &str = "[unknown]";
/// Stacks were recorded, this event has none.
pub const NO_STACK: &str = "[no stack]";
/// The event names a stack that the stream does not have.
pub const STACK_MISSING: &str = "[stack missing]";
/// What is over the bounds of memory.
pub const OTHER: &str = "[other]";
/// The three losses, in the order of [`LossCause`](crate::event::LossCause).
pub const LOSSES: [&str; 3] =
    ["[lost: ring full]", "[missed: skipped by the kernel]", "[dropped: not read or damaged]"];

/// The frame of a stack that the kernel could not store.
pub fn stack_lost(errno: i32) -> String {
    match errno_name(errno.unsigned_abs().into()) {
        Some(name) => format!("[stack lost: {name}]"),
        None => format!("[stack lost: errno {}]", errno.unsigned_abs()),
    }
}

/// The frame of a thread's name, with its process's id where `pid` is set.
pub fn root(comm: Option<&Comm>, header: &Header, with_pid: bool) -> String {
    let mut name = match comm {
        None => UNKNOWN_COMM.to_owned(),
        Some(comm) => comm_frame(&comm.text()),
    };
    if with_pid {
        name = format!("{name}/{}", header.pid);
    }
    name
}

/// A name that a process chose as a frame. `;` separates frames; readers trim spaces, and take `# ` for a comment
/// and `_[k]` for an annotation; `[` begins a frame that is no name.
fn comm_frame(comm: &str) -> String {
    if comm.is_empty() {
        return "[no name]".to_owned();
    }
    let mut bytes = Vec::with_capacity(comm.len());
    escape(&mut bytes, comm, false);
    let text = String::from_utf8_lossy(&bytes);
    let last = text.chars().count() - 1;
    let mut name = String::with_capacity(text.len());
    for (index, character) in text.chars().enumerate() {
        let is_special = match character {
            ';' => true,
            '[' | '#' | '-' => index == 0,
            ']' => index == last,
            _ => character.is_whitespace() && (index == 0 || index == last),
        };
        if is_special {
            character.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| name += &format!("\\x{byte:02x}"));
        } else {
            name.push(character);
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_one_frame() {
        assert_eq!(comm_frame("kworker/0:1-ev"), "kworker/0:1-ev");
        assert_eq!(comm_frame("Web Content"), "Web Content");
        assert_eq!(comm_frame("a;b 1\nc"), "a\\x3bb 1\\x0ac");
        assert_eq!(comm_frame(" # "), "\\x20#\\x20");
        assert_eq!(comm_frame("[other]"), "\\x5bother\\x5d");
        assert_eq!(comm_frame("--"), "\\x2d-");
        assert_eq!(comm_frame(""), "[no name]");
    }

    #[test]
    fn errors_have_their_names() {
        assert_eq!(stack_lost(-17), "[stack lost: EEXIST]");
        assert_eq!(stack_lost(-100_000), "[stack lost: errno 100000]");
    }
}
