//! A report made by hand, with everything in it that there can be.

use rmapscope::check::Verdict;
use rmapscope::event::LossCause;
use rmapscope::event::Weights;
use rmapscope::report::model::{
    Actor, Bounce, Bucket, Coherent, DeviceMemory, Distribution, Ended, Exclusive, Failure, Fork, ForkCost,
    Gap, Group, HotPage, Interval, Key, Losses, Migrated, Pages, PingPong, PingPongs, Pool, PoolLevel,
    Quantile, RangeFaults, Refused, Report, Residency, Row, StackTotal, Table, TakenBack, Timeline, Top,
    Unit, Way,
};
use tracer_common::event::{RefusalReason, RefusalStep};

fn weights(count: u64, time: u64, pages: u64) -> Weights {
    Weights { count, time, pages, bytes: pages * 4096 }
}

fn quantiles(values: [u64; 4]) -> Vec<Quantile> {
    let parts = [0.5, 0.9, 0.99, 0.999];
    parts.into_iter().zip(values).map(|(quantile, value)| Quantile { quantile, value }).collect()
}

fn row(group: Vec<Group>, count: u64) -> Row {
    Row {
        group,
        weights: weights(count, count * 1500, count * 2),
        measured: count,
        max: 90_000,
        quantiles: quantiles([1_500, 4_000, 31_000, 88_000]),
    }
}

fn name(name: &str) -> Group {
    Group::Name(name.to_owned())
}

/// Values in three bars, `unit` apart by powers of two.
fn distribution(event: &'static str, unit: Unit, from: u64) -> Distribution {
    let bar = |index: u32, count| Bucket { from: from << index, to: (from << (index + 1)) - 1, count };
    Distribution {
        event,
        unit,
        count: 1110,
        sum: from * 1500,
        min: from,
        max: from * 7,
        quantiles: quantiles([from, from * 2, from * 4, from * 7]),
        buckets: vec![bar(0, 1000), bar(1, 10), bar(2, 100)],
    }
}

fn hot_page(comm: &str, count: u64) -> HotPage {
    HotPage {
        pfn: 0x12345,
        count,
        events: vec![("try_to_unmap", count - 2), ("exclusive_page", 1), ("exclusive_fault", 1)],
        pid: 812,
        comm: comm.to_owned(),
        address: Some(0x7f12_3456_7000),
        first: 1_000_000,
        last: 5_000_000,
        exclusive_returns: 3,
        migration_returns: 0,
    }
}

fn cost(pid: u32, comm: &str) -> ForkCost {
    ForkCost {
        pid,
        comm: comm.to_owned(),
        forks: 2,
        vmas: 40,
        pages: 65_536,
        time: 3_200_000,
        time_per_page: Some(48.828),
        restored: 7,
        failed: 1,
    }
}

fn bounce(device: &str) -> Bounce {
    Bounce {
        device: device.to_owned(),
        pool: 0xffff_8881_0000_1000,
        pool_start: Some(0x7000_0000),
        pool_size: Some(64 << 20),
        forced: true,
        mappings: 300,
        bytes: 1 << 20,
        slots: 600,
        peak_bytes: 128 << 10,
        peak_slots: 70,
        coherent: Some(Coherent { allocations: 9, bytes: 180_224, slots: 88, failed: 1, open_bytes: 4096 }),
        open_bytes: 4096,
        open: 1,
        synced: 8192,
        time: 450_000,
        failures: vec![Failure { cause: "exhausted", count: 3, largest: 262_144 }],
        sizes: Some(distribution("swiotlb_map_single", Unit::Bytes, 4096)),
        lifetimes: Some(distribution("swiotlb_unmap_single", Unit::Nanoseconds, 20_000)),
        levels: (0..200)
            .map(|index| PoolLevel { from: index << 20, bytes: index * 512, slots: index / 4 })
            .collect(),
    }
}

fn pool(device: &str) -> Pool {
    let Bounce { pool, pool_start, pool_size, levels, .. } = bounce(device);
    Pool {
        pool,
        pool_start,
        pool_size,
        devices: vec![device.to_owned(), "0000:00:1f.2".to_owned()],
        peak_bytes: 192 << 10,
        peak_slots: 96,
        counted_slots: Some(32_700),
        levels,
    }
}

fn top<T>(entry: T) -> Top<T> {
    Top { entries: vec![entry], distinct: 17, exact: true, error: 0 }
}

/// A report whose names are all `hostile`.
pub fn full(hostile: &str, verdict: Verdict) -> Report {
    let rest = weights(30, 45_000, 60);
    let interval = |index: u64| Interval {
        counts: vec![index % 9, index / 3],
        lost: u64::from(index == 5) * 12,
        exclusive: index / 2,
        migration_entries: 300 - index,
        bounced: index << 10,
    };
    Report {
        verdict,
        filter: Some(format!("-n '{hostile}'")),
        span: 2_000_000_000,
        total: weights(1060, 1_590_000, 2120),
        events: Table {
            keys: vec![Key::Event],
            rows: vec![row(vec![name("try_to_unmap")], 1000), row(vec![name("copy_page_range")], 30)],
            distinct: 9,
            rest,
        },
        processes: Table {
            keys: vec![Key::Pid, Key::Comm],
            rows: vec![row(vec![Group::Number(812), name(hostile)], 1030)],
            distinct: 1,
            rest: Weights::default(),
        },
        devices: Table {
            keys: vec![Key::Device],
            rows: vec![Row { measured: 0, quantiles: Vec::new(), ..row(vec![name(hostile)], 300) }],
            distinct: 1,
            rest: Weights::default(),
        },
        by: Some(Table {
            keys: vec![Key::Caller, Key::Result],
            rows: vec![
                row(vec![name("shrink_folio_list"), name("ok")], 900),
                row(vec![Group::None, name("?")], 1),
            ],
            distinct: 4,
            rest,
        }),
        latencies: vec![distribution("try_to_unmap", Unit::Nanoseconds, 1024)],
        walks: vec![distribution("try_to_unmap", Unit::Vmas, 1)],
        stacks: Top {
            entries: vec![
                StackTotal {
                    event: "try_to_unmap",
                    frames: (0..12).map(|index| format!("caller_{index}")).collect(),
                    weights: weights(900, 1_350_000, 900),
                },
                StackTotal { event: "try_to_unmap", frames: Vec::new(), weights: weights(100, 0, 100) },
            ],
            distinct: 5000,
            exact: false,
            error: 4,
        },
        pages: Pages { hot: top(hot_page(hostile, 99)), ping_pong: top(hot_page(hostile, 99)) },
        exclusive: Exclusive {
            made: 128,
            peak: 64,
            ends: vec![
                Residency {
                    ended: Ended::Fault,
                    count: 1110,
                    residency: Some(distribution("exclusive_page", Unit::Nanoseconds, 1 << 20)),
                },
                Residency { ended: Ended::Open, count: 3, residency: None },
            ],
            unseen_beginnings: 2,
        },
        device_memory: device_memory(hostile),
        fork: Fork {
            forks: 4,
            total: Some(cost(0, "")),
            processes: Top { distinct: 2, ..top(cost(812, hostile)) },
            time: Some(distribution("copy_page_range", Unit::Nanoseconds, 1 << 18)),
        },
        pools: vec![pool(hostile)],
        swiotlb: vec![bounce(hostile)],
        timeline: Timeline {
            interval: 8 << 20,
            events: vec!["copy_page_range", "try_to_unmap"],
            intervals: (0..238).map(interval).collect(),
        },
        losses: Losses {
            lost: [("rmap".to_owned(), 12)].into(),
            missed: [("swiotlb".to_owned(), 1)].into(),
            dropped: [("unknown".to_owned(), 7)].into(),
            unpaired: [("rmap".to_owned(), 2)].into(),
            stacks_lost: 100,
            gaps: vec![
                Gap {
                    cause: LossCause::Lost,
                    family: Some("rmap"),
                    count: 12,
                    from: 5 << 20,
                    to: Some(6 << 20),
                },
                Gap { cause: LossCause::Dropped, family: None, count: 0, from: 1 << 30, to: None },
            ],
            more_gaps: 3,
            incomplete: Some(format!("the trace file is cut; {hostile}")),
        },
    }
}

fn device_memory(hostile: &str) -> DeviceMemory {
    let actor = |pid, owner| Actor { pid, comm: hostile.to_owned(), mm: 0xffff_8880_0401_2000, owner };
    let migrated = |actor, way, unknown| Migrated {
        actor,
        way,
        migrations: 3,
        pages: 1536,
        moved: 1000,
        refused: 24,
        passed_over: 0,
        unknown,
    };
    DeviceMemory {
        migrated: Top {
            entries: vec![
                migrated(actor(812, Some(0xffff_ffff_c060_71a0)), Way::ToDevice, 1),
                migrated(actor(813, None), Way::FaultBack, 0),
            ],
            distinct: 2,
            exact: true,
            error: 0,
        },
        refused: top(Refused {
            actor: actor(812, Some(0xffff_ffff_c060_71a0)),
            way: Way::ToDevice,
            step: RefusalStep::Unmap,
            reason: RefusalReason::Pinned,
            pages: 24,
        }),
        taken_back: TakenBack { calls: 1, pages: 130, unknown: 0 },
        range_faults: top(RangeFaults { actor: actor(812, None), calls: 9, pages: 640, busy: 2, failed: 1 }),
        ping_pong: PingPongs {
            entries: vec![PingPong {
                actor: actor(812, Some(0xffff_ffff_c060_71a0)),
                start: 0x7f65_ee50_8000,
                end: 0x7f65_ee54_8000,
                pages: 64,
                returns: 1300,
                most: 30,
                stays: 1400,
                time: 700_000_000,
                to_device: vec![
                    "migrate_vma_finalize".to_owned(),
                    hostile.to_owned(),
                    "__x64_sys_ioctl".to_owned(),
                ],
                back: vec!["dmirror_devmem_fault".to_owned(), "do_swap_page".to_owned()],
            }],
            distinct: 3,
            left_out: 12,
        },
    }
}
