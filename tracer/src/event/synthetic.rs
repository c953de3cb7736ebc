//! A made-up kernel and a stream with every kind of event, for tests.

use tracer_common::event::{
    BITS_UNKNOWN, COMM_LEN, CopyPageRange, DEVICE_NAME_LEN, DeviceName, DmaMapDirect, ExclusiveExit,
    ExclusiveFault, ExclusiveMove, ExclusivePage, ExclusiveZap, FolioMlock, FolioWalk, HmmRangeFault,
    MAPCOUNT_UNKNOWN, MAPPING_ERROR, MakeDeviceExclusive, MigrateDeviceRange, MigratePages, MigrateRefused,
    MigrateVma, MigrateVmaRefused, MigrateVmaSetup, MigrationEntry, MlockFixup, MmuIntervalNotifierInsert,
    MmuIntervalNotifierRemove, ProcessExec, ProcessExit, ProcessFork, ProcessRename, RESULT_UNKNOWN,
    RefusalReason, RefusalStep, RemoveMigrationPte, RestoreExclusive, STACK_NONE, SwiotlbMap,
    SwiotlbMapSingle, SwiotlbPages, SwiotlbSlotKept, SwiotlbSync, SwiotlbUnmapSingle, UNCOUNTED, UNKNOWN,
    VmaVisit,
};

use super::{Body, Event, Frame, Header, Item, Loss, LossCause, ProcessEntry, StackEntry, Summary};
use crate::kernel::{Description, EntryFormatRecord, NamedValue, PresentEntryFormat, SwapKind, SwapType};

const VMEMMAP: u64 = 0xffff_ea00_0000_0000;
const PAGE: u64 = VMEMMAP + 0x12345 * 64;
const OTHER_PAGE: u64 = VMEMMAP + 0x23456 * 64;
const MM: u64 = 0xffff_8880_0401_2000;
const CHILD_MM: u64 = 0xffff_8880_0401_3000;
const DEVICE: u64 = 0xffff_8880_0200_10c8;
const POOL: u64 = 0xffff_ffff_8300_4000;
const ADDRESS: u64 = 0x7f12_3456_7000;
/// Type 29, pfn 0x12345.
const EXCLUSIVE_ENTRY: u64 = 0xefff_ffff_fdb9_7400;
/// Type 26, pfn 0x12345, with young and dirty above it.
const MIGRATION_ENTRY: u64 = 0xd7ff_e7ff_fdb9_7400;
const PRESENT_ENTRY: u64 = 0x8000_0000_1234_5067;
/// VM_READ, VM_WRITE, VM_MAYREAD, VM_MAYWRITE, VM_ACCOUNT.
const VM_FLAGS: u64 = 0x10_0033;
const VM_LOCKED: u64 = 0x2000;
/// PG_locked, PG_uptodate, PG_lru, PG_swapbacked, and a zone above.
const FLAGS: u64 = 1 << 56 | 1 << 17 | 1 << 5 | 1 << 3 | 1;
const MLOCKED_FLAGS: u64 = FLAGS | 1 << 18 | 1 << 19;
/// The same with PG_owner_priv_1, which is PG_swapcache here.
const SWAPCACHE_FLAGS: u64 = FLAGS | 1 << 10;

fn named(values: &[(&str, i64)]) -> Vec<NamedValue> {
    values.iter().map(|&(name, value)| NamedValue { name: name.to_owned(), value }).collect()
}

/// A kernel like 6.12 on x86-64 with DEVICE_PRIVATE.
pub fn description() -> Description {
    use SwapKind::*;
    let types = [
        (24, MigrationRead),
        (25, MigrationReadExclusive),
        (26, MigrationWrite),
        (27, DeviceWrite),
        (28, DeviceRead),
        (29, DeviceExclusiveWrite),
        (30, DeviceExclusiveRead),
        (31, PteMarker),
    ];
    let enums = [
        (
            "ttu_flags",
            named(&[
                ("TTU_SPLIT_HUGE_PMD", 4),
                ("TTU_IGNORE_MLOCK", 8),
                ("TTU_SYNC", 16),
                ("TTU_HWPOISON", 32),
                ("TTU_BATCH_FLUSH", 64),
                ("TTU_RMAP_LOCKED", 128),
            ]),
        ),
        ("migrate_mode", named(&[("MIGRATE_ASYNC", 0), ("MIGRATE_SYNC_LIGHT", 1), ("MIGRATE_SYNC", 2)])),
        ("migrate_reason", named(&[("MR_COMPACTION", 0), ("MR_SYSCALL", 3)])),
        (
            "vm_fault_reason",
            named(&[("VM_FAULT_MAJOR", 4), ("VM_FAULT_RETRY", 0x400), ("HINDEX_MASK", 0xf0000)]),
        ),
        (
            "fault_flag",
            named(&[("FAULT_FLAG_WRITE", 1), ("FAULT_FLAG_ALLOW_RETRY", 4), ("FAULT_FLAG_USER", 64)]),
        ),
    ];
    Description {
        release: "6.12.0-test".to_owned(),
        version: "#1 SMP".to_owned(),
        machine: "x86_64".to_owned(),
        build_id: Some("0123abcd".to_owned()),
        possible_cpus: 4,
        page_size: 4096,
        struct_page_size: Some(64),
        vmemmap_base: Some(VMEMMAP),
        page_flags: named(&[
            ("PG_locked", 0),
            ("PG_uptodate", 3),
            ("PG_lru", 5),
            ("PG_head", 6),
            ("PG_owner_priv_1", 10),
            ("PG_swapbacked", 17),
            ("PG_unevictable", 18),
            ("PG_mlocked", 19),
            ("__NR_PAGEFLAGS", 21),
            ("PG_swapcache", 10),
        ]),
        swap_types: types.into_iter().map(|(number, kind)| SwapType { number, kind }).collect(),
        entry_format: Some(EntryFormatRecord {
            pfn_mask: (1 << 34) - 1,
            present_mask: 0x101,
            type_shift: 59,
            type_mask: 0x1f,
            up: 5,
            down: 14,
            invert: true,
            soft_dirty_mask: 2,
            uffd_wp_mask: 4,
            present: Some(PresentEntryFormat {
                pfn_mask: 0x000f_ffff_ffff_f000,
                high_mask: 0,
                high_shift: 0,
                inverted_without: 1,
                writable_mask: 2,
                soft_dirty_mask: 0x800,
                uffd_wp_mask: 0x400,
            }),
        }),
        enums: enums.into_iter().map(|(name, values)| (name.to_owned(), values)).collect(),
        ..Description::default()
    }
}

fn bytes<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    bytes[..text.len()].copy_from_slice(text);
    bytes
}

fn comm(text: &[u8]) -> [u8; COMM_LEN] {
    bytes(text)
}

fn visit(ttu_flags: u32, result: u32, mapcount: i32) -> VmaVisit {
    VmaVisit {
        page: PAGE,
        flags: FLAGS,
        mm: MM,
        address: ADDRESS,
        vm_flags: VM_FLAGS,
        ttu_flags,
        result,
        mapcount,
        reserved: 0,
        entry_before: UNKNOWN,
        entry_after: UNKNOWN,
        duration: 1234,
    }
}

fn walk(ttu_flags: u32, mapcount: i32, duration: u64) -> FolioWalk {
    FolioWalk { page: PAGE, flags: SWAPCACHE_FLAGS, mapcount, ttu_flags, duration }
}

/// Every kind of event, with values that can be unknown being so at least once.
fn bodies() -> Vec<Body> {
    let sync =
        SwiotlbSync { device: DEVICE, pool: POOL, bounce: 0x7c00_0800, size: 512, direction: 2, reserved: 0 };
    let pages = |page, result| SwiotlbPages {
        device: DEVICE + 8,
        pool: POOL,
        pool_start: 0x7c00_0000,
        pool_end: 0x7c40_0000,
        page,
        size: 8192,
        used_slots: if page == 0 { 2046 } else { UNKNOWN },
        result,
        reserved: 0,
    };
    let migration = MigrateVma {
        mm: MM,
        start: ADDRESS,
        end: ADDRESS + 0x4000,
        npages: 4,
        collected: 3,
        migrated: 2,
        filled: 1,
        select: 1,
        reserved: 0,
        owner: DEVICE,
        fault_page: 0,
        duration: 66_000,
    };
    let mlock = FolioMlock { page: PAGE, flags: FLAGS, mapcount: 1, reserved: 0 };
    vec![
        Body::ProcessFork(ProcessFork { child_pid: 813, child_tid: 813, comm: comm(b"hmm-tests") }),
        Body::ProcessExec(ProcessExec { old_tid: 812, reserved: 0, comm: comm(b"=cmd \x1b[2J\xff,\"") }),
        Body::ProcessRename(ProcessRename { target_pid: 812, target_tid: 812, comm: comm(b"Web Content") }),
        Body::MakeDeviceExclusive(MakeDeviceExclusive {
            mm: MM,
            start: ADDRESS,
            end: ADDRESS + 0x4000,
            owner: 0,
            result: 4,
            made: 3,
            unchecked: 0,
            duration: 5_000_123,
        }),
        Body::MakeDeviceExclusive(MakeDeviceExclusive {
            mm: MM,
            start: ADDRESS,
            end: ADDRESS + 0x1000,
            owner: DEVICE,
            result: -16,
            made: 0,
            unchecked: 0,
            duration: 0,
        }),
        Body::ExclusivePage(ExclusivePage {
            mm: MM,
            address: ADDRESS,
            page: PAGE,
            flags: FLAGS,
            mapping_bits: 1,
            mapcount: 0,
            refcount: 3,
            reserved: 0,
        }),
        Body::ExclusiveVma(visit(0, 0, 0)),
        Body::RestoreExclusive(RestoreExclusive {
            mm: MM,
            address: ADDRESS,
            page: PAGE,
            flags: MLOCKED_FLAGS,
            vm_flags: VM_FLAGS | VM_LOCKED,
            old_entry: EXCLUSIVE_ENTRY | 2,
            new_entry: PRESENT_ENTRY,
            mapcount: 1,
            in_fork: 1,
            mlocks: 1,
            reserved: 0,
            duration: 700,
        }),
        Body::ExclusiveFault(ExclusiveFault {
            mm: UNKNOWN,
            address: ADDRESS,
            entry: EXCLUSIVE_ENTRY,
            fault_flags: 0x45,
            result: 0x1_0400,
            duration: 0,
        }),
        Body::ExclusiveMove(ExclusiveMove {
            mm: MM,
            old_address: ADDRESS,
            new_address: ADDRESS + 0x10_0000,
            length: 0x4000,
        }),
        Body::ExclusiveZap(ExclusiveZap { mm: MM, start: ADDRESS, end: ADDRESS + 0x4000 }),
        Body::ExclusiveExit(ExclusiveExit { mm: MM }),
        Body::TryToUnmap(walk(0x40, 0, 0)),
        Body::TryToUnmap(FolioWalk {
            flags: UNKNOWN,
            mapcount: MAPCOUNT_UNKNOWN,
            page: 1,
            ..walk(0x101, 0, 9)
        }),
        Body::TryToMigrate(walk(0, 2, 4321)),
        Body::TryToUnmapOne(VmaVisit {
            vm_flags: VM_FLAGS | VM_LOCKED,
            entry_before: PRESENT_ENTRY,
            entry_after: PRESENT_ENTRY,
            ..visit(0x40, 0, 1)
        }),
        Body::TryToMigrateOne(visit(0, 1, MAPCOUNT_UNKNOWN)),
        Body::MigrationEntrySet(MigrationEntry {
            address: ADDRESS,
            entry: MIGRATION_ENTRY,
            page: PAGE,
            flags: FLAGS,
            order: 0,
            reserved: 0,
        }),
        Body::MigrationEntryRemoved(MigrationEntry {
            address: ADDRESS,
            entry: PRESENT_ENTRY,
            page: UNKNOWN,
            flags: UNKNOWN,
            order: 9,
            reserved: 0,
        }),
        Body::RemoveMigrationPte(RemoveMigrationPte {
            mm: MM,
            address: ADDRESS,
            old_page: PAGE,
            old_flags: FLAGS,
            new_page: OTHER_PAGE,
            new_flags: FLAGS,
            duration: 0,
        }),
        Body::MigratePages(MigratePages { succeeded: 31, failed: 1, mode: 1, reason: 3 }),
        Body::MigratePages(MigratePages { succeeded: 0, failed: 2, mode: 7, reason: 8 }),
        Body::MigrateVmaSetup(MigrateVmaSetup {
            mm: MM,
            start: ADDRESS,
            end: ADDRESS + 0x2000,
            npages: 2,
            collected: 1,
            result: 0,
            unlocked: 1,
            unlocked_page: OTHER_PAGE,
            duration: 88_000,
        }),
        Body::MigrateRefused(MigrateRefused {
            page: PAGE,
            flags: FLAGS,
            mapcount: 0,
            refcount: 3,
            result: -11,
            mode: 1,
        }),
        Body::PageMlock(walk(0, 2, 0)),
        Body::PageMlockOne(visit(0, 0, 2)),
        Body::MlockFolio(mlock),
        Body::MunlockFolio(FolioMlock { flags: MLOCKED_FLAGS, ..mlock }),
        Body::MlockFixup(MlockFixup {
            mm: MM,
            start: ADDRESS,
            end: ADDRESS + 0x8000,
            old_vm_flags: VM_FLAGS,
            new_vm_flags: VM_FLAGS | VM_LOCKED | 1 << 40,
            result: -22,
            reserved: 0,
            duration: 0,
        }),
        Body::CopyPageRange(CopyPageRange {
            source_mm: MM,
            destination_mm: CHILD_MM,
            source_vma: MM + 0x100,
            destination_vma: MM + 0x200,
            start: ADDRESS,
            end: ADDRESS + 0x8000,
            vm_flags: VM_FLAGS,
            result: -12,
            inner_result: RESULT_UNKNOWN,
            restored: 2,
            exclusive_left: 1,
            exclusive_copied: 0,
            compared: UNCOUNTED,
            taken: 0,
            unscanned: 0,
            first_left: ADDRESS + 0x2000,
            first_left_flags: FLAGS,
            first_copied: 0,
            first_taken: 0,
            duration: 12_345,
        }),
        Body::DeviceName(DeviceName { device: DEVICE, name: bytes::<DEVICE_NAME_LEN>(b"0000:00:04.0") }),
        Body::SwiotlbMap(SwiotlbMap {
            device: DEVICE,
            original: 0x1234_5678,
            size: 4096,
            dma_address: 0x7c00_0000,
            attributes: 0x20,
            direction: 1,
            reserved: 0,
            duration: 0,
        }),
        Body::SwiotlbMapSingle(SwiotlbMapSingle {
            device: DEVICE,
            pool: POOL,
            pool_start: 0x7c00_0000,
            pool_end: 0x8000_0000,
            original: 0x1234_5678,
            bounce: 0x7c00_0000,
            size: 4096,
            alloc_size: UNKNOWN,
            attributes: UNKNOWN,
            direction: 2,
            pool_bits: 1,
            used_slots: UNKNOWN,
            align_mask: 0xfff,
            reserved: 0,
            duration: 321,
        }),
        Body::SwiotlbMapSingle(SwiotlbMapSingle {
            device: 0,
            pool: 0,
            pool_start: UNKNOWN,
            pool_end: UNKNOWN,
            original: 0x1234_5678,
            bounce: MAPPING_ERROR,
            size: 1 << 20,
            alloc_size: 1 << 20,
            attributes: 0x1_0000,
            direction: 9,
            pool_bits: 0,
            used_slots: 32_760,
            align_mask: 0,
            reserved: 0,
            duration: 0,
        }),
        Body::SwiotlbUnmapSingle(SwiotlbUnmapSingle {
            device: DEVICE,
            pool: POOL,
            bounce: 0x7c00_0000,
            size: 4096,
            slot_original: u64::MAX,
            slot_size: 0,
            attributes: 0,
            direction: 0,
            reserved: 0,
        }),
        Body::SwiotlbSyncForCpu(sync),
        Body::SwiotlbSyncForDevice(sync),
        Body::SwiotlbAlloc(pages(0, 0)),
        Body::SwiotlbFree(pages(PAGE, 1)),
        Body::SwiotlbSlotKept(SwiotlbSlotKept {
            device: DEVICE,
            pool: POOL,
            bounce: 0x7c00_0000,
            slot_original: 0x1234_5678,
            slot_size: 4096,
        }),
        Body::DmaMapDirect(DmaMapDirect {
            device: DEVICE,
            pool: POOL,
            original: 0x1234_5678,
            dma_address: 0x1234_5678,
            size: 512,
            direction: 1,
            pool_bits: 1,
        }),
        Body::MigrateVmaPages(migration),
        Body::MigrateVmaFinalize(MigrateVma {
            migrated: UNCOUNTED,
            filled: UNCOUNTED,
            select: BITS_UNKNOWN,
            owner: UNKNOWN,
            fault_page: UNKNOWN,
            duration: 0,
            ..migration
        }),
        Body::MigrateDeviceRange(MigrateDeviceRange {
            start: 0x12345,
            npages: 256,
            migrating: 3,
            result: 0,
            duration: 77_000,
        }),
        Body::HmmRangeFault(HmmRangeFault {
            mm: MM,
            start: ADDRESS,
            end: ADDRESS + 0x4000,
            request: 3 << 62,
            owner: DEVICE,
            result: -16,
            reserved: 0,
            duration: 5_000,
        }),
        Body::MmuIntervalNotifierInsert(MmuIntervalNotifierInsert {
            notifier: DEVICE + 16,
            mm: MM,
            start: ADDRESS,
            length: 0x4_0000,
            result: 0,
            reserved: 0,
            duration: 900,
        }),
        Body::MmuIntervalNotifierRemove(MmuIntervalNotifierRemove {
            notifier: DEVICE + 16,
            mm: MM,
            start: ADDRESS,
            length: 0x4_0000,
        }),
        Body::MigrateVmaRefused(MigrateVmaRefused {
            mm: MM,
            address: ADDRESS,
            page: PAGE,
            flags: FLAGS,
            owner: DEVICE,
            fault_page: 0,
            select: 1,
            step: RefusalStep::Unmap as u32,
            reason: RefusalReason::Pinned as u32,
            pages: 1,
            refcount: 4,
            expected: 3,
            mapcount: 0,
            reserved: 0,
        }),
        Body::ProcessExit(ProcessExit { exit_code: 7 << 8 | 9, reserved: 0 }),
    ]
}

/// The stream: who lives, a stack, every kind of event 1 ms apart, losses between, and the end.
pub fn stream() -> Vec<Item> {
    const START: u64 = 1_000_000_000_000;
    let mut items = vec![
        Item::Process(ProcessEntry { pid: 812, tid: 812, parent: 1, comm: "sh".to_owned() }),
        Item::Stack(StackEntry {
            id: 5,
            frames: vec![
                Frame {
                    address: 0xffff_ffff_8123_4567,
                    symbol: Some("try_to_unmap".to_owned()),
                    offset: 0x17,
                    module: None,
                },
                Frame {
                    address: 0xffff_ffff_c000_1234,
                    symbol: Some("dmirror_ioctl".to_owned()),
                    offset: 0,
                    module: Some("test_hmm".to_owned()),
                },
                Frame { address: 0x1234, symbol: None, offset: 0, module: None },
            ],
        }),
    ];
    for (index, body) in bodies().into_iter().enumerate() {
        let time = START + index as u64 * 1_000_001;
        let (pid, tid) = match index % 7 {
            5 => (4000, 4001),
            6 => (0, 0),
            _ => (812, 812),
        };
        let stack = match index {
            9 => 5,
            10 => -14,
            11 => 6,
            _ => STACK_NONE,
        };
        let header = Header { time, tid, pid, kind: body.kind() as u16, cpu: (index % 3) as u16, stack };
        items.push(Item::Event(Event { header, body }));
        let loss = |cause, family, count| {
            Item::Loss(Loss { cause, family, count, after: START, before: time, kind: None })
        };
        match index {
            12 => items.push(loss(LossCause::Lost, Some(2), 14)),
            13 => items.push(loss(LossCause::Missed, None, 1)),
            14 => items.push(Item::Loss(Loss {
                cause: LossCause::Dropped,
                family: Some(6),
                count: 0,
                after: 0,
                before: u64::MAX,
                kind: None,
            })),
            _ => {}
        }
    }
    items.push(Item::Summary(Summary {
        lost: [("rmap".to_owned(), 14)].into(),
        begin: START,
        end: START + 100_000_000,
        reason: "command exited with status 0".to_owned(),
        command_status: Some(0),
        ..Summary::default()
    }));
    items
}

#[test]
fn the_stream_has_every_kind() {
    let seen: std::collections::HashSet<_> = bodies().iter().map(Body::kind).collect();
    assert!(super::Kind::ALL.iter().all(|kind| seen.contains(kind)));
}
