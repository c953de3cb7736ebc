//! Reclaim by memory control groups.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::system::check;

/// More bytes than a guest has.
pub(super) const EVERYTHING: u64 = 1 << 40;

/// Reclaims so many bytes of any process, through `memory.reclaim` of the root control group (cgroup v2,
/// Linux 5.19 on). That less could be reclaimed is no error.
pub(super) fn bytes(count: u64) -> anyhow::Result<()> {
    let file = root()?.join("memory.reclaim");
    match fs::write(&file, count.to_string()) {
        Err(error) if error.raw_os_error() != Some(libc::EAGAIN) => {
            Err(error).with_context(|| format!("cannot write {}", file.display()))
        }
        _ => Ok(()),
    }
}

/// Where control groups of version 2 are mounted; mounts them if they are nowhere.
fn root() -> anyhow::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("/proc/self/mounts")?;
    let mounted = mounts.lines().find_map(|line| {
        let mut words = line.split(' ');
        let place = words.nth(1)?;
        (words.next()? == "cgroup2").then(|| PathBuf::from(place))
    });
    if let Some(place) = mounted {
        return Ok(place);
    }
    let place = Path::new("/run/rmapscope-cgroup");
    fs::create_dir_all(place).with_context(|| place.display().to_string())?;
    // SAFETY: all strings are NUL-terminated.
    let result = unsafe {
        libc::mount(
            c"none".as_ptr(),
            c"/run/rmapscope-cgroup".as_ptr(),
            c"cgroup2".as_ptr(),
            0,
            std::ptr::null(),
        )
    };
    check("mount", result.into())?;
    Ok(place.to_owned())
}
