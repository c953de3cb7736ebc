//! A compressed swap device in memory (zram), so that anonymous pages can be reclaimed.

use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::memory::page_size;
use super::system::check;

const DEVICE: &str = "/dev/zram0";

/// Whether any swap device is in use.
pub(super) fn is_on() -> bool {
    // The first line is the heading.
    fs::read_to_string("/proc/swaps").is_ok_and(|swaps| swaps.lines().count() > 1)
}

/// Makes a zram device of `bytes` bytes and swaps to it; nothing to do where there is swap already.
pub(super) fn turn_on(bytes: u64) -> anyhow::Result<()> {
    if is_on() {
        return Ok(());
    }
    let size_file = "/sys/block/zram0/disksize";
    if !fs::exists(size_file)? {
        let status = Command::new("modprobe").arg("zram").status().context("cannot run modprobe")?;
        ensure!(status.success(), "modprobe zram: {status}");
    }
    fs::write(size_file, bytes.to_string()).with_context(|| format!("cannot set {size_file}"))?;
    wait_for(DEVICE)?;
    write_header(bytes)?;
    let path = CString::new(DEVICE)?;
    // SAFETY: the path is NUL-terminated and lives during the call.
    check("swapon", unsafe { libc::swapon(path.as_ptr(), 0) }.into())?;
    Ok(())
}

fn wait_for(path: &str) -> anyhow::Result<()> {
    let begin = Instant::now();
    while !fs::exists(path)? {
        ensure!(begin.elapsed() < Duration::from_secs(10), "{path} did not appear");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Writes what `mkswap` writes (`union swap_header`, include/linux/swap.h).
fn write_header(bytes: u64) -> anyhow::Result<()> {
    const VERSION_OFFSET: usize = 1024;
    const LAST_PAGE_OFFSET: usize = 1028;
    const SIGNATURE: &[u8] = b"SWAPSPACE2";

    let last_page = u32::try_from(bytes / page_size() as u64 - 1).context("the swap device is too large")?;
    let mut page = vec![0; page_size()];
    page[VERSION_OFFSET..VERSION_OFFSET + 4].copy_from_slice(&1_u32.to_ne_bytes());
    page[LAST_PAGE_OFFSET..LAST_PAGE_OFFSET + 4].copy_from_slice(&last_page.to_ne_bytes());
    page[page_size() - SIGNATURE.len()..].copy_from_slice(SIGNATURE);
    let device =
        OpenOptions::new().write(true).open(DEVICE).with_context(|| format!("cannot open {DEVICE}"))?;
    device.write_all_at(&page, 0).with_context(|| format!("cannot write {DEVICE}"))?;
    device.sync_all().with_context(|| format!("cannot write {DEVICE}"))
}
