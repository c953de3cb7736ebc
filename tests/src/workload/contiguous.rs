//! Memory that is one piece physically.

use std::fs;
use std::sync::LazyLock;

use anyhow::ensure;

/// Bytes of a huge page; 2 MiB where the kernel says nothing of them.
pub(super) fn huge_page_size() -> usize {
    static SIZE: LazyLock<usize> = LazyLock::new(|| {
        let text = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size").ok();
        text.and_then(|text| text.trim().parse().ok()).unwrap_or(2 << 20)
    });
    *SIZE
}

/// Maps one huge page and touches it; the mapping lives as long as the process.
///
/// # Errors
/// When it cannot be mapped. A kernel without huge pages gives small ones, which may lie anywhere.
pub(super) fn huge_page() -> anyhow::Result<*mut u8> {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, twice as long so that an aligned huge page is in it.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), 2 * huge_page_size(), protection, flags, -1, 0) };
    ensure!(start != libc::MAP_FAILED, "mmap failed: {}", std::io::Error::last_os_error());
    let start = start.cast::<u8>();
    let start = start.wrapping_add(start.align_offset(huge_page_size()));
    // SAFETY: inside the mapping; EINVAL from a kernel without transparent huge pages.
    unsafe { libc::madvise(start.cast(), huge_page_size(), libc::MADV_HUGEPAGE) };
    // SAFETY: an aligned byte in our own writable mapping; volatile because the access itself counts.
    unsafe { start.write_volatile(1) };
    Ok(start)
}
