//! Runs that the kernel skipped: a program that would have nested in itself on a CPU, a return probe without
//! a free instance. aya does not show these numbers, so the kernel is asked directly.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use aya::Ebpf;
use tracer_common::globals::SKIPPED_UNKNOWN;

use super::ask;
use crate::open_files;

/// `BPF_LINK_GET_FD_BY_ID` (include/uapi/linux/bpf.h, `enum bpf_cmd`).
const BPF_LINK_GET_FD_BY_ID: libc::c_long = 30;

/// `BPF_OBJ_GET_INFO_BY_FD` (include/uapi/linux/bpf.h, `enum bpf_cmd`).
const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;

/// `union bpf_attr`, member `info`.
#[repr(C)]
struct InfoAttribute {
    fd: u32,
    length: u32,
    info: u64,
}

/// Byte offset of `struct bpf_prog_info.run_time_ns` and, behind it, `run_cnt` (since 5.1).
const RUN_TIME: usize = 192;
/// Byte offset of `struct bpf_prog_info.recursion_misses` (since 5.12).
const RECURSION_MISSES: usize = 208;
/// Bytes of `struct bpf_prog_info` up to there.
const PROGRAM_INFO: usize = RECURSION_MISSES + 8;

/// Byte offset of `struct bpf_link_info.perf_event.type`.
const PERF_EVENT_TYPE: usize = 16;
/// `BPF_PERF_EVENT_KPROBE` and `BPF_PERF_EVENT_KRETPROBE` (`enum bpf_perf_event_type`).
const KPROBE_TYPES: [u32; 2] = [3, 4];
/// Byte offset of `struct bpf_link_info.perf_event.kprobe.missed` (since 6.7).
const KPROBE_MISSED: usize = 48;
/// Bytes of `struct bpf_link_info` up to there.
const LINK_INFO: usize = KPROBE_MISSED + 8;

/// Fills `info` as far as the running kernel knows the structure; the rest stays zero.
fn info<const N: usize>(fd: BorrowedFd<'_>) -> Option<[u8; N]> {
    let mut info = [0u8; N];
    let mut attribute = MaybeUninit::<InfoAttribute>::zeroed();
    attribute.write(InfoAttribute {
        fd: fd.as_raw_fd().cast_unsigned(),
        length: N as u32,
        info: info.as_mut_ptr() as u64,
    });
    // SAFETY: the attribute names a buffer of the length that it says; the kernel writes no more.
    let status = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_OBJ_GET_INFO_BY_FD,
            attribute.as_mut_ptr(),
            size_of::<InfoAttribute>(),
        )
    };
    (status == 0).then_some(info)
}

fn number<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut number = [0; N];
    number.copy_from_slice(&bytes[offset..offset + N]);
    number
}

/// Opens the link of that id once more; aya shows no descriptor of its own. It has to be closed to detach.
///
/// # Errors
/// When there is no descriptor left, without which hits that the kernel skips would go uncounted.
pub fn link(id: u32) -> io::Result<Option<OwnedFd>> {
    // `union bpf_attr`: link_id, next_id, open_flags.
    let mut attribute = [id, 0, 0];
    // SAFETY: the attribute is as long as it says.
    let fd = unsafe {
        libc::syscall(libc::SYS_bpf, BPF_LINK_GET_FD_BY_ID, attribute.as_mut_ptr(), size_of_val(&attribute))
    };
    let Some(fd) = i32::try_from(fd).ok().filter(|fd| *fd >= 0) else {
        let error = io::Error::last_os_error();
        return if open_files::is_why(&error) { Err(error) } else { Ok(None) };
    };
    // SAFETY: the kernel just made this descriptor for us.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// Runs of a program skipped because it was running on that CPU already.
pub fn by_program(program: BorrowedFd<'_>) -> u64 {
    info::<PROGRAM_INFO>(program).map_or(0, |info| u64::from_ne_bytes(number(&info, RECURSION_MISSES)))
}

/// Nanoseconds in a program, and how often it ran, while the kernel measured that.
pub fn cost(program: BorrowedFd<'_>) -> (u64, u64) {
    let number = |info: &[u8; PROGRAM_INFO], offset| u64::from_ne_bytes(number(info, offset));
    info::<PROGRAM_INFO>(program)
        .map_or((0, 0), |info| (number(&info, RUN_TIME), number(&info, RUN_TIME + 8)))
}

/// The program that reads [`by_kprobe`].
const SKIPPED_HITS: &str = "skipped_hits";

/// Loads what reads [`by_kprobe`], while that is permitted.
///
/// # Errors
/// Why the kernel does not take it.
pub fn prepare(ebpf: &mut Ebpf) -> Result<(), String> {
    ask::load(ebpf, SKIPPED_HITS)
}

/// As [`by_link`], read from the kernel's memory by a program of ours; 0 where it cannot be read.
pub fn by_kprobe(ebpf: &Ebpf, link: BorrowedFd<'_>) -> u64 {
    let skipped = ask::ask_again(ebpf, SKIPPED_HITS, &[link.as_raw_fd() as u64]);
    skipped.ok().filter(|skipped| *skipped != SKIPPED_UNKNOWN).map_or(0, u64::from)
}

/// Hits of a kprobe or kretprobe that never reached its program, where the kernel shows them (since 6.7).
pub fn by_link(link: BorrowedFd<'_>) -> u64 {
    let Some(info) = info::<LINK_INFO>(link) else { return 0 };
    if !KPROBE_TYPES.contains(&u32::from_ne_bytes(number(&info, PERF_EVENT_TYPE))) {
        return 0;
    }
    u64::from_ne_bytes(number(&info, KPROBE_MISSED))
}
