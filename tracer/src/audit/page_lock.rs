//! Whether pages are locked, from `/proc/kpageflags` (Documentation/admin-guide/mm/pagemap.rst): a hint, for
//! the page may have been locked or unlocked since its entry was read.

use std::fs::File;
use std::os::unix::fs::FileExt;

use serde::Serialize;

use super::entry::Frames;
use crate::kernel::SystemFiles;

/// Bits of include/uapi/linux/kernel-page-flags.h.
const KPF_LOCKED: u64 = 1 << 0;
const KPF_COMPOUND_TAIL: u64 = 1 << 16;
const KPF_NOPAGE: u64 = 1 << 20;

/// Pages that are read with one system call.
const CHUNK: u64 = 512;

/// How many pages were locked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Locked {
    /// Locked.
    pub locked: u64,
    /// Of so many whose flags are shown. Those of device memory are not; and of the tails of huge pages, 6.1
    /// shows their own flags, where the lock is not (fs/proc/page.c, `stable_page_flags`).
    pub known: u64,
}

/// The flags of all pages; `None` when they cannot be read, which needs root.
pub fn open(system: &SystemFiles) -> Option<File> {
    File::open(system.path("/proc/kpageflags")).ok()
}

/// Counts the locked ones among page frames.
pub fn count(file: &File, frames: &[Frames]) -> Locked {
    const WORD: u64 = size_of::<u64>() as u64;
    let mut sum = Locked::default();
    let mut buffer = [0; (CHUNK * WORD) as usize];
    for run in frames {
        let end = run.pfn.saturating_add(run.count);
        let mut pfn = run.pfn;
        while pfn < end {
            let wanted = (end - pfn).min(CHUNK);
            let bytes = &mut buffer[..(wanted * WORD) as usize];
            let Ok(length @ 1..) = file.read_at(bytes, pfn.saturating_mul(WORD)) else { break };
            let (words, _) = bytes[..length].as_chunks();
            for word in words {
                let flags = u64::from_ne_bytes(*word);
                let locked = flags & KPF_LOCKED != 0;
                sum.locked += u64::from(locked);
                sum.known += u64::from(locked || flags & (KPF_COMPOUND_TAIL | KPF_NOPAGE) == 0);
            }
            pfn += words.len().max(1) as u64;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locked_pages_are_counted_among_the_known() {
        let mut file = tempfile::tempfile().unwrap();
        let words = [0, KPF_LOCKED | 8, KPF_COMPOUND_TAIL, KPF_COMPOUND_TAIL | KPF_LOCKED, KPF_NOPAGE, 8];
        let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_ne_bytes).collect();
        std::io::Write::write_all(&mut file, &bytes).unwrap();
        let frames = [Frames { pfn: 1, count: 4 }, Frames { pfn: 0, count: 1 }, Frames { pfn: 5, count: 9 }];
        assert_eq!(count(&file, &frames), Locked { locked: 2, known: 4 });
    }
}
