//! Memory that is one piece physically.

use anyhow::ensure;

/// Bytes of a huge page on x86-64, and on arm64 with pages of 4 KiB.
pub(super) const HUGE_PAGE: usize = 2 << 20;

/// Maps one huge page and touches it; the mapping lives as long as the process.
///
/// # Errors
/// When it cannot be mapped. A kernel without huge pages gives small ones, which may lie anywhere.
pub(super) fn huge_page() -> anyhow::Result<*mut u8> {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, twice as long so that an aligned huge page is in it.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), 2 * HUGE_PAGE, protection, flags, -1, 0) };
    ensure!(start != libc::MAP_FAILED, "mmap failed: {}", std::io::Error::last_os_error());
    let start = start.cast::<u8>();
    let start = start.wrapping_add(start.align_offset(HUGE_PAGE));
    // SAFETY: inside the mapping; EINVAL from a kernel without transparent huge pages.
    unsafe { libc::madvise(start.cast(), HUGE_PAGE, libc::MADV_HUGEPAGE) };
    // SAFETY: an aligned byte in our own writable mapping; volatile because the access itself counts.
    unsafe { start.write_volatile(1) };
    Ok(start)
}
