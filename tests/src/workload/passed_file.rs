//! An open file passed from one process to another, over a socket.

use std::io::Error;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::ptr;

use anyhow::{Context, ensure};

use super::system::check;

/// Bytes of a control message with one descriptor, and some more.
const CONTROL: usize = 64;

/// A place for control messages, aligned as they must be.
#[repr(align(8))]
struct Control([u8; CONTROL]);

/// Calls `with` a message of one byte and room for control messages.
fn with_message<T>(byte: &mut u8, control: &mut Control, with: impl FnOnce(&mut libc::msghdr) -> T) -> T {
    let mut data = libc::iovec { iov_base: ptr::from_mut(byte).cast(), iov_len: 1 };
    // SAFETY: a message of zeros has no parts.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut data;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    with(&mut message)
}

/// Sends a descriptor of this process (SCM_RIGHTS), and its number.
pub(super) fn send(socket: &UnixStream, file: &impl AsRawFd) -> anyhow::Result<()> {
    let mut byte = u8::try_from(file.as_raw_fd())?;
    let mut control = Control([0; CONTROL]);
    let size = u32::try_from(size_of::<libc::c_int>())?;
    let sent = with_message(&mut byte, &mut control, |message| {
        // SAFETY: the room is larger than this message, and the header lies in it.
        unsafe {
            message.msg_controllen = libc::CMSG_SPACE(size) as _;
            let header = libc::CMSG_FIRSTHDR(message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size) as _;
            libc::CMSG_DATA(header).cast::<libc::c_int>().write_unaligned(file.as_raw_fd());
            libc::sendmsg(socket.as_raw_fd(), message, 0)
        }
    });
    check("sendmsg", libc::c_long::try_from(sent)?).map(drop)
}

/// Takes a descriptor that was sent, and the number that it has in the process that sent it.
pub(super) fn receive(socket: &UnixStream) -> anyhow::Result<(u8, OwnedFd)> {
    let (mut byte, mut control) = (0, Control([0; CONTROL]));
    let file = with_message(&mut byte, &mut control, |message| {
        message.msg_controllen = CONTROL as _;
        // SAFETY: the message and its parts live during the call.
        let received = unsafe { libc::recvmsg(socket.as_raw_fd(), message, libc::MSG_CMSG_CLOEXEC) };
        ensure!(received == 1, "recvmsg: {received} bytes: {}", Error::last_os_error());
        // SAFETY: the kernel wrote what the lengths say.
        let header = unsafe { libc::CMSG_FIRSTHDR(message).as_ref() }.context("nothing was passed")?;
        ensure!(header.cmsg_type == libc::SCM_RIGHTS, "something else was passed: {}", header.cmsg_type);
        // SAFETY: a message of this type has one descriptor at least, which is this process's from now on.
        Ok(unsafe { OwnedFd::from_raw_fd(libc::CMSG_DATA(header).cast::<libc::c_int>().read_unaligned()) })
    })?;
    Ok((byte, file))
}
