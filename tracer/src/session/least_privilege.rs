//! What a session gives up once everything is attached and opened: it runs as root on somebody's machine, and
//! from then on only reads maps and writes to files that are open.

use std::io;

/// `struct __user_cap_header_struct` with `_LINUX_CAPABILITY_VERSION_3` (include/uapi/linux/capability.h).
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`; two of them hold 64 capabilities.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION_3: u32 = 0x2008_0522;
/// Number of CAP_BPF. Kept: up to 5.17 even reading one's own map needs it where unprivileged BPF is disabled
/// (kernel/bpf/syscall.c, `__sys_bpf`).
const CAP_BPF: u32 = 39;

/// Drops every capability but CAP_BPF, and the way to get any back through a set-user-id program.
///
/// # Errors
/// Those of `capget(2)`, `capset(2)` and `prctl(2)`; what was dropped before stays dropped.
pub fn keep_only_bpf() -> io::Result<()> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut data = [Data::default(); 2];
    // SAFETY: for version 3 the kernel fills two data structures.
    if unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let kept = data[1].permitted & (1 << (CAP_BPF - 32));
    let data = [Data::default(), Data { effective: kept, permitted: kept, inheritable: 0 }];
    // SAFETY: for version 3 the kernel reads two data structures.
    if unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: takes numbers only.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    /// In a child of its own: capabilities belong to a thread, and the other tests need theirs.
    #[test]
    fn only_bpf_is_left() {
        let status = std::thread::spawn(|| {
            super::keep_only_bpf().expect("capabilities can be dropped");
            std::fs::read_to_string("/proc/thread-self/status").expect("/proc is mounted")
        })
        .join()
        .expect("the thread ends");
        let effective =
            status.lines().find_map(|line| line.strip_prefix("CapEff:")).expect("CapEff is there");
        let effective = u64::from_str_radix(effective.trim(), 16).expect("it is hexadecimal");
        assert_eq!(effective & !(1 << super::CAP_BPF), 0, "{effective:#x}");
    }
}
