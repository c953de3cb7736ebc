//! One round of each process of the stress.

use std::fs;
use std::time::Duration;

use super::super::contiguous::huge_page_size;
use super::super::exclusive::Exclusive;
use super::super::fact::Facts;
use super::super::memory::{Memory, page_size};
use super::super::mirror::Mirror;
use super::super::move_pages::{MPOL_MF_MOVE_ALL, move_addresses, move_pages};
use super::super::numa::memory_nodes;
use super::super::reclaim;
use super::super::system::{compact_memory, fork_child, is_error, wait_for_success};

pub(super) fn move_and_protect(pages: usize) -> anyhow::Result<()> {
    let mut memory = Memory::filled(pages)?;
    memory.move_away()?;
    memory.protect(libc::PROT_READ)?;
    memory.protect(libc::PROT_READ | libc::PROT_WRITE)?;
    memory.check()
}

/// Makes the kernel look for equal pages, and fast. A kernel without KSM does not have the files.
pub(super) fn turn_merging_on() {
    for (file, value) in [("pages_to_scan", "1000"), ("sleep_millisecs", "10"), ("run", "1")] {
        let _ = fs::write(format!("/sys/kernel/mm/ksm/{file}"), value);
    }
}

/// Two mappings with equal pages, which the kernel merges, moves and, once they differ, separates.
pub(super) fn merge(pages: usize) -> anyhow::Result<()> {
    let memory = [Memory::filled(pages)?, Memory::filled(pages)?];
    for mapping in &memory {
        // EINVAL from a kernel without KSM.
        let _ = mapping.advise(libc::MADV_MERGEABLE);
    }
    std::thread::sleep(Duration::from_millis(200));
    memory.iter().try_for_each(Memory::check)?;
    for mapping in &memory {
        let _ = mapping.advise(libc::MADV_PAGEOUT);
        mapping.fill();
    }
    memory.iter().try_for_each(Memory::check)
}

/// Huge pages, as far as the kernel gives any: mapped page by page, shared, moved, split and paged out.
pub(super) fn huge() -> anyhow::Result<()> {
    let memory = huge_memory()?;
    let half = memory.pages() / 2;
    memory.protect_part(1, 1, libc::PROT_READ)?;
    memory.protect_part(1, 1, libc::PROT_READ | libc::PROT_WRITE)?;
    let firsts = [memory.address(), memory.address() + huge_page_size() as u64];
    for node in memory_nodes()? {
        move_addresses(&firsts, Some(node), MPOL_MF_MOVE_ALL)?;
    }
    wait_for_success(fork_child(|| memory.check())?)?;
    memory.advise_part(half / 2, half, libc::MADV_PAGEOUT)?;
    memory.check()
}

/// Small parts of a huge page made exclusive, and huge pages moved to the device.
pub(super) fn huge_device() -> anyhow::Result<()> {
    let mirror = Mirror::open()?;
    let memory = huge_memory()?;
    // Up to 6.14 the kernel refuses pages that are not the first of a huge one.
    let _ = mirror.make_part_exclusive(&memory, 0, 8);
    memory.check()?;
    let _ = mirror.migrate_to_device(&memory);
    memory.check()
}

fn huge_memory() -> anyhow::Result<Memory> {
    let memory = Memory::map_aligned(2 * huge_page_size() / page_size(), huge_page_size())?;
    // EINVAL from a kernel without transparent huge pages.
    let _ = memory.advise(libc::MADV_HUGEPAGE);
    memory.fill();
    Ok(memory)
}

pub(super) fn page_out(pages: usize) -> anyhow::Result<()> {
    let memory = Memory::filled(pages)?;
    memory.advise(libc::MADV_PAGEOUT)?;
    memory.check()
}

/// Another process's work may keep single pages from moving, which is no failure; lost content is.
pub(super) fn migrate(pages: usize) -> anyhow::Result<()> {
    let memory = Memory::filled(pages)?;
    for node in memory_nodes()? {
        move_pages(&memory, Some(node))?;
    }
    memory.check()
}

/// The same for migration to the device, which then tells the driver that pages are missing.
pub(super) fn device_memory(pages: usize) -> anyhow::Result<()> {
    let mirror = Mirror::open()?;
    let memory = Memory::filled(pages)?;
    let _ = mirror.migrate_to_device(&memory);
    memory.check()
}

/// Moves everybody's pages together.
pub(super) fn compact() -> anyhow::Result<()> {
    std::thread::sleep(Duration::from_millis(50));
    compact_memory()
}

/// Takes a little memory from everybody, mostly pages that were not used for long.
pub(super) fn press() -> anyhow::Result<()> {
    std::thread::sleep(Duration::from_millis(50));
    reclaim::bytes(4 << 20)
}

/// Every way in which exclusive pages end. None of these is a failure: another process's work holds the lock of a
/// page, and the driver gets EBUSY or a fork ENOMEM; it moves a page before the driver reads it, which then finds the
/// page no more (ENOENT of `dmirror_do_read`, 7.3 lib/test_hmm.c).
pub(super) fn exclusive(pages: usize, facts: &mut Facts) -> anyhow::Result<()> {
    let plain = Exclusive { pages, disturbed: true, ..Exclusive::default() };
    for round in [
        Exclusive { fork: true, ..plain.clone() },
        Exclusive { fork: true, mlock: true, mremap: true, ..plain.clone() },
        Exclusive { fault: true, mlock: true, rounds_before: 2, ..plain.clone() },
        Exclusive { fault: true, mremap: true, mprotect: true, ..plain.clone() },
        Exclusive { fault: true, uffd_wp: true, ..plain.clone() },
        Exclusive { munmap: true, mremap: true, ..plain.clone() },
        Exclusive { munmap: true, ..plain },
    ] {
        if let Err(error) = round.run(facts)
            && ![libc::EBUSY, libc::ENOENT, libc::ENOMEM].iter().any(|number| is_error(&error, *number))
        {
            return Err(error);
        }
    }
    Ok(())
}
