//! The kernel says how large a page is: 4 KiB, 16 KiB or 64 KiB on 64-bit Arm. Whatever counts or finds pages agrees with
//! it, and a huge page is as many of them as a page has entries.

mod attached_common;
#[expect(dead_code, unused_imports, reason = "only the history and its header are used")]
mod check_world;
mod history_readers;

use check_world::History;
use rmapscope::event::{Body, Item, Sink};
use rmapscope::report::model::{Ended, Report};
use rmapscope::report::page_history::{PageHistoryCollector, State, Target};
use rmapscope::trace_file::FileHeader;
use tracer_common::event::{
    ExclusiveMove, ExclusivePage, FolioWalk, MIGRATE_SELECT_SYSTEM, MigrateVma, MigrationEntry, MlockFixup,
    RestoreExclusive, SwiotlbMapSingle, UNKNOWN,
};

const SIZES: [u64; 3] = [4 << 10, 16 << 10, 64 << 10];
const MM: u64 = 0xffff_8880_0401_0000;
const START: u64 = 0x7f00_0000_0000;

/// PG_locked and PG_head of the made-up kernel.
const LOCKED: u64 = 1;
const HEAD: u64 = 1 << 6;

fn header(page_size: u64) -> FileHeader {
    let mut header = History::header();
    header.kernel.page_size = page_size;
    header
}

/// The `struct page` of a frame.
const fn page(pfn: u64) -> u64 {
    0xffff_ea00_0000_0000 + pfn * 64
}

fn made(address: u64, pfn: u64) -> Body {
    Body::ExclusivePage(ExclusivePage {
        mm: MM,
        address,
        page: page(pfn),
        flags: LOCKED,
        mapping_bits: 1,
        mapcount: 0,
        refcount: 2,
        reserved: 0,
    })
}

fn history(bodies: impl IntoIterator<Item = Body>) -> History {
    let mut history = History::default();
    bodies.into_iter().for_each(|body| history.tell(100, body));
    history
}

fn report(history: &History, page_size: u64) -> Report {
    history_readers::report(history, &header(page_size))
}

fn ended(report: &Report, how: Ended) -> u64 {
    report.exclusive.ends.iter().filter(|ends| ends.ended == how).map(|ends| ends.count).sum()
}

/// Bytes of each state of that name that begins in a timeline.
fn bytes(history: &History, page_size: u64, name: &str) -> Vec<u64> {
    let timeline = history_readers::timeline(history, &header(page_size));
    let begins = timeline.iter().filter(|event| event["name"] == name && event["ph"] == "b");
    begins.map(|event| event["args"]["bytes"].as_u64().expect("bytes")).collect()
}

#[test]
fn a_move_of_one_page_moves_one_entry() {
    for size in SIZES {
        let moved = |length| {
            Body::ExclusiveMove(ExclusiveMove { mm: MM, old_address: START, new_address: 1 << 40, length })
        };
        let restored = Body::RestoreExclusive(RestoreExclusive {
            mm: MM,
            address: 1 << 40,
            page: page(1),
            flags: LOCKED,
            vm_flags: 0,
            old_entry: UNKNOWN,
            new_entry: UNKNOWN,
            mapcount: 1,
            in_fork: 0,
            mlocks: 0,
            reserved: 0,
            duration: 0,
        });
        // A length of 0 is the one page at least.
        for length in [0, size] {
            let history = history([made(START, 1), made(START + size, 2), moved(length), restored]);
            let report = report(&history, size);
            assert_eq!(ended(&report, Ended::Fault) + ended(&report, Ended::Restored), 1, "{size} {length}");
            assert_eq!(ended(&report, Ended::Open), 1, "{size} {length}");
            assert_eq!(bytes(&history, size, "device-exclusive"), [size, size]);
        }
    }
}

#[test]
fn a_huge_page_is_as_many_pages_as_a_page_has_entries() {
    for size in SIZES {
        let pages = size / 8;
        let walk = |flags| {
            let (page, mapcount) = (page(0), 0);
            Body::TryToUnmap(FolioWalk { page, flags: LOCKED | flags, mapcount, ttu_flags: 0, duration: 0 })
        };
        let exclusive = [made(START, 0), made(START + size, pages - 1), made(START + 2 * size, pages)];
        let unmapped = |flags| {
            ended(&report(&history(exclusive.into_iter().chain([walk(flags)])), size), Ended::Unmapped)
        };
        assert_eq!((unmapped(0), unmapped(HEAD)), (1, 2), "{size}");
    }
}

#[test]
fn ranges_and_entries_are_counted_in_pages() {
    for size in SIZES {
        let locked = Body::MlockFixup(MlockFixup {
            mm: MM,
            start: START,
            end: START + 8 * size,
            old_vm_flags: 0,
            new_vm_flags: 0,
            result: 0,
            reserved: 0,
            duration: 0,
        });
        let total = report(&history([locked]), size).total;
        assert_eq!((total.count, total.pages), (1, 8), "{size}");
        let set = |order| {
            let (address, page) = (START, page(512));
            Body::MigrationEntrySet(MigrationEntry {
                address,
                entry: 0,
                page,
                flags: LOCKED,
                order,
                reserved: 0,
            })
        };
        assert_eq!(bytes(&history([set(0), set(3)]), size, "migration entry"), [size, size << 3]);
    }
}

#[test]
fn pages_that_move_to_a_device_are_numbered_in_pages() {
    for size in SIZES {
        let migrated = |select, (migrated, filled)| {
            Body::MigrateVmaFinalize(MigrateVma {
                mm: MM,
                start: START,
                end: START + 4 * size,
                npages: 4,
                collected: 4,
                migrated,
                filled,
                select,
                reserved: 0,
                owner: 0x1000,
                fault_page: 0,
                duration: 0,
            })
        };
        let (to, back) = (migrated(MIGRATE_SELECT_SYSTEM, (4, 0)), migrated(2, (4, 0)));
        let report = report(&history([to, back, to]), size);
        let again = &report.device_memory.ping_pong.entries;
        let ranges: Vec<_> = again.iter().map(|range| (range.start, range.end, range.pages)).collect();
        assert_eq!(ranges, [(START, START + 4 * size, 4)], "{size}");
    }
}

#[test]
fn a_bounce_is_of_the_page_that_its_address_is_in() {
    for size in SIZES {
        let (original, bounce) = (0x1234_5000 / size * size + size / 2, 0x7c00_0000);
        let map = Body::SwiotlbMapSingle(SwiotlbMapSingle {
            device: 8,
            pool: 16,
            pool_start: bounce,
            pool_end: bounce + (1 << 20),
            original,
            bounce,
            size: 512,
            alloc_size: UNKNOWN,
            attributes: 0,
            direction: 1,
            pool_bits: 1,
            used_slots: UNKNOWN,
            align_mask: 0,
            reserved: 0,
            duration: 0,
        });
        let is_bounced = |pfn| {
            let mut collector = PageHistoryCollector::new(&header(size), Target::Page { pfn });
            history([map]).items().for_each(|item: Item| collector.item(&item).expect("room"));
            collector.finish(None).states.iter().any(|episode| episode.state == State::Bounced)
        };
        let pfn = original / size;
        assert_eq!(
            [pfn - 1, pfn, pfn + 1, bounce / size].map(is_bounced),
            [false, true, false, true],
            "{size}"
        );
    }
}
