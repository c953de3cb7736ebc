//! Where swap entries are, told by the kernel (6.7 on): the ioctl PAGEMAP_SCAN skips present pages and empty
//! page tables without a word for each of their pages, which is what takes time in large address spaces.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;

/// `struct pm_scan_arg` (6.12 include/uapi/linux/fs.h).
#[derive(Debug, Default)]
#[repr(C)]
struct Arguments {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    regions: u64,
    regions_length: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `struct page_region`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct Region {
    start: u64,
    end: u64,
    categories: u64,
}

/// `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: libc::Ioctl = 0xc060_6610_u32 as libc::Ioctl;

/// Every swap entry, special or not (`is_swap_pte` in `pagemap_page_category`).
const PAGE_IS_SWAPPED: u64 = 1 << 4;

/// Regions fetched with one call.
const REGIONS: usize = 512;

/// The address ranges with swap entries between two addresses, in order. `None` from a kernel that does not
/// have the ioctl, or does not let us.
pub fn swap_ranges(file: &File, range: Range<u64>) -> Option<Vec<Range<u64>>> {
    let mut found = Vec::new();
    let mut regions = [Region::default(); REGIONS];
    let mut start = range.start;
    while start < range.end {
        let mut arguments = Arguments {
            size: size_of::<Arguments>() as u64,
            start,
            end: range.end,
            regions: regions.as_mut_ptr() as u64,
            regions_length: REGIONS as u64,
            category_mask: PAGE_IS_SWAPPED,
            return_mask: PAGE_IS_SWAPPED,
            ..Arguments::default()
        };
        // SAFETY: the argument has the size that it states, and the regions as many elements as it says;
        // both live during the call.
        let count = unsafe { libc::ioctl(file.as_raw_fd(), PAGEMAP_SCAN, &raw mut arguments) };
        let Ok(count) = usize::try_from(count) else {
            match io::Error::last_os_error().raw_os_error() {
                Some(libc::EINTR) => continue,
                // The address space is gone.
                Some(libc::ESRCH) => break,
                _ => return None,
            }
        };
        found.extend(regions.iter().take(count).map(|region| region.start..region.end));
        if arguments.walk_end <= start {
            break;
        }
        start = arguments.walk_end;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argument_is_what_the_number_says() {
        assert_eq!(size_of::<Arguments>(), (0xc060_6610_u32 as usize >> 16) & 0x3fff);
        assert_eq!(size_of::<Region>(), 24);
    }

    #[test]
    fn a_file_that_is_no_pagemap_is_left_to_reading() {
        assert!(swap_ranges(&tempfile::tempfile().unwrap(), 0..0x1000).is_none());
    }
}
