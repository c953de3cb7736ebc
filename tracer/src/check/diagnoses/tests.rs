use tracer_common::event::{
    Body, CopyPageRange, MAPPING_ERROR, MigrateRefused, RestoreExclusive, SwiotlbMap, SwiotlbMapSingle,
    SwiotlbPages, UNKNOWN, VmaVisit,
};
use tracer_common::family::Family;

use crate::check::testing::*;

fn made() -> Body {
    Body::ExclusivePage(exclusive_page())
}

fn zap() -> Body {
    Body::ExclusiveZap(tracer_common::event::ExclusiveZap { mm: MM, start: ADDRESS, end: ADDRESS + 4096 })
}

#[test]
fn fork_fails_over_a_locked_page() {
    let failed = CopyPageRange { result: -12, exclusive_left: 1, exclusive_copied: 0, ..copy() };
    let failed = CopyPageRange { first_left: ADDRESS, first_left_flags: FLAGS, ..failed };
    let found =
        Session::new().events([made(), Body::CopyPageRange(failed)]).diagnoses("fork-enomem-exclusive");
    assert_eq!((found.len(), found[0].count), (1, 1));
    let evidence = &found[0].evidence[0];
    assert_eq!((evidence.address, evidence.pfn), (Some(ADDRESS), Some(PFN)));
    assert_eq!(evidence.before[0].what, "made exclusive");
    let inner = CopyPageRange { result: -12, inner_result: -16, ..copy() };
    let unlocked = CopyPageRange { first_left_flags: UNLOCKED, ..failed };
    for (copy, count) in [(inner, 1), (unlocked, 0), (CopyPageRange { result: 0, ..failed }, 0)] {
        let session = Session::new().event(Body::CopyPageRange(copy));
        let found = session.verdict().diagnoses;
        assert_eq!(found.len(), count, "{copy:?}");
    }
}

#[test]
fn exclusive_pages_that_block_migration() {
    let refused = |page| {
        Body::MigrateRefused(MigrateRefused {
            page,
            flags: FLAGS,
            mapcount: 0,
            refcount: 3,
            result: -11,
            mode: 1,
        })
    };
    let session = Session::new().events([refused(PAGE), made(), refused(PAGE), refused(PAGE + 64)]);
    let session = session.tid(4242).events([refused(PAGE), zap(), refused(PAGE)]);
    let found = session.diagnoses("exclusive-blocks-migration");
    assert_eq!((found.len(), found[0].count), (1, 2));
    assert_eq!(found[0].evidence[0].address, Some(ADDRESS));
    assert_eq!(found[0].evidence[0].before[0].actor.comm, "hmm-tests");
    assert!(session.loss(Some(Family::Exclusive)).diagnoses("exclusive-ping-pong").is_empty());
}

#[test]
fn pages_that_go_back_and_forth() {
    let turns = |count| {
        let session = Session::new().with_stack();
        session.events((0..count).flat_map(|_| [made(), Body::RestoreExclusive(restore())]))
    };
    assert!(turns(7).diagnoses("exclusive-ping-pong").is_empty());
    let found = turns(9).diagnoses("exclusive-ping-pong");
    assert_eq!((found.len(), found[0].count), (1, 9));
    let evidence = &found[0].evidence[0];
    assert_eq!(evidence.what, "revoked 9 times");
    assert_eq!(evidence.before[0].actor.stack.len(), 1);
    // Restores without a beginning in the stream are no turns.
    let older = Session::new().events([Body::RestoreExclusive(RestoreExclusive { ..restore() }); 20]);
    assert!(older.diagnoses("exclusive-ping-pong").is_empty());
}

#[test]
fn why_swiotlb_had_no_room() {
    let failed = SwiotlbMapSingle { bounce: MAPPING_ERROR, used_slots: 32_767, ..map(0) };
    let exhausted = failed;
    let large = SwiotlbMapSingle { size: 1 << 20, used_slots: 4, ..failed };
    let aligned = SwiotlbMapSingle { used_slots: 20_000, align_mask: 0xffff, ..failed };
    let events = [exhausted, exhausted, large, aligned].map(Body::SwiotlbMapSingle);
    let found = Session::new().events(events).diagnoses("swiotlb-full");
    let summaries: Vec<_> = found.iter().map(|found| (found.count, found.summary.as_str())).collect();
    assert_eq!(summaries[0].0, 2);
    assert!(summaries[0].1.contains("exhausted"), "{summaries:?}");
    assert!(summaries.iter().any(|(_, summary)| summary.contains("larger than 256 KiB")), "{summaries:?}");
    assert!(summaries.iter().any(|(_, summary)| summary.contains("none in a row")), "{summaries:?}");
    assert_eq!(found.len(), 3);
    assert_eq!(found[0].evidence[0].device.as_deref(), Some("0xffff8880020010c8"));
}

#[test]
fn the_size_of_a_restricted_pool_that_would_have_sufficed() {
    // 2048 slots, as large as a device tree says.
    let pool_end = POOL_START + (4 << 20);
    let failed = |original, size, used_slots| {
        let full = SwiotlbMapSingle { bounce: MAPPING_ERROR, pool_bits: 3, pool_end, ..map(0) };
        Body::SwiotlbMapSingle(SwiotlbMapSingle { original, size, used_slots, ..full })
    };
    let summary = |events: Vec<Body>| {
        let found = Session::new().events(events).diagnoses("swiotlb-full");
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].summary.clone()
    };
    // Asked for again, a buffer counts once; an address inside of a slot may take one more.
    let asked = vec![
        failed(0x10_0000, 65536, 2040),
        failed(0x10_0000, 65536, 2041),
        failed(0x20_0200, 4096, 2048),
        failed(0x30_0000, 4096, 2047),
    ];
    let text = summary(asked);
    let pool = format!(
        "its restricted pool at {POOL_START:#x} had 2041 of 2048 slots in use when 32 were asked for"
    );
    assert!(text.contains("4 mappings") && text.contains(&pool), "{text}");
    let sizes =
        "; 4352 KiB (2176 slots) would have had room for each alone, 4352 KiB (2176 slots) for all 3 buffers";
    assert!(text.contains(sizes), "{text}");
    let many: Vec<Body> = (0..24).map(|index| failed(index << 20, 126 << 11, 2040)).collect();
    let text = summary(many);
    // 2040 in use and 24 times 126 are 5064, in segments of 128.
    assert!(
        text.contains("4352 KiB (2176 slots) would") && text.contains("10240 KiB (5120 slots) for all 24"),
        "{text}"
    );
    let alone = summary(vec![failed(0, 4096, 2047)]);
    assert!(alone.ends_with("4352 KiB (2176 slots) would have had room for each alone"), "{alone}");
    let unknown = summary(vec![failed(0, 4096, UNKNOWN)]);
    assert!(
        unknown.ends_with("could not be read; the size that would have sufficed is unknown"),
        "{unknown}"
    );
    // A pool that is no restricted one may have several areas.
    let shared = SwiotlbMapSingle { bounce: MAPPING_ERROR, used_slots: 32_767, ..map(0) };
    let shared = summary(vec![Body::SwiotlbMapSingle(shared)]);
    assert!(shared.contains("; at least "), "{shared}");
}

#[test]
fn coherent_memory_that_a_pool_did_not_have() {
    let failed = SwiotlbPages {
        device: DEVICE,
        pool: POOL,
        pool_start: POOL_START,
        // 512 slots.
        pool_end: POOL_START + (1 << 20),
        page: 0,
        size: 128 << 10,
        used_slots: 465,
        result: 0,
        reserved: 0,
    };
    let summary = |events: Vec<Body>| {
        let found = Session::new().events(events).diagnoses("swiotlb-full");
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].summary.clone()
    };
    let taken = SwiotlbPages { page: PFN, result: 1, used_slots: UNKNOWN, ..failed };
    let text = summary([taken, failed].map(Body::SwiotlbAlloc).into());
    assert!(text.starts_with("1 coherent allocation of") && text.contains("is exhausted"), "{text}");
    let pool =
        format!("its restricted pool at {POOL_START:#x} had 465 of 512 slots in use when 64 were asked for");
    assert!(text.contains(&pool), "{text}");
    assert!(text.ends_with("; 1280 KiB (640 slots) would have had room for each alone"), "{text}");
    // Slots are free, and the allocation wants 64 in a row, at a multiple of 128 KiB.
    let pieces = summary(vec![Body::SwiotlbAlloc(SwiotlbPages { used_slots: 300, ..failed })]);
    assert!(pieces.contains("none in a row") && pieces.contains("300 of 512"), "{pieces}");
    // All of a segment, which is aligned as far as the pool is.
    let segment = SwiotlbPages { size: 256 << 10, ..failed };
    let aligned = summary(vec![Body::SwiotlbAlloc(segment)]);
    assert!(aligned.contains("; 1280 KiB (640 slots) would"), "{aligned}");
    let (pool_start, pool_end) = (POOL_START + 4096, segment.pool_end + 4096);
    let askew = summary(vec![Body::SwiotlbAlloc(SwiotlbPages { pool_start, pool_end, ..segment })]);
    assert!(askew.ends_with("the size that would have sufficed is unknown"), "{askew}");
    let large = summary(vec![Body::SwiotlbAlloc(SwiotlbPages { size: 1 << 20, ..failed })]);
    assert!(large.contains("larger than 256 KiB") && !large.contains("would have"), "{large}");
    let unknown = summary(vec![Body::SwiotlbAlloc(SwiotlbPages { used_slots: UNKNOWN, ..failed })]);
    assert!(unknown.ends_with("is unknown"), "{unknown}");
    // Beside a mapping, a size for all is a lower bound: an allocation may have been asked for again.
    let map = |original| {
        let full = SwiotlbMapSingle { bounce: MAPPING_ERROR, pool_bits: 3, used_slots: 512, ..map(0) };
        Body::SwiotlbMapSingle(SwiotlbMapSingle { original, pool_end: failed.pool_end, ..full })
    };
    let both = summary(vec![map(0), map(4096), Body::SwiotlbAlloc(failed)]);
    assert!(both.starts_with("2 mappings and 1 coherent allocation of"), "{both}");
    assert!(both.contains(", at least") && both.ends_with("for all 2 buffers at once"), "{both}");
}

/// 400 mappings over a second, of which every `kept`th is never unmapped.
fn mappings(kept: u64) -> Session {
    (0..400).fold(Session::new(), |session, index| {
        let offset = index * 4096;
        let session = session.pause(2_500_000).event(Body::SwiotlbMapSingle(map(offset)));
        let session = session.event(Body::SwiotlbMap(SwiotlbMap { ..answer(offset) }));
        if index % kept == 0 { session } else { session.event(Body::SwiotlbUnmapSingle(unmap(offset))) }
    })
}

#[test]
fn mappings_that_only_grow() {
    let found = mappings(4).diagnoses("swiotlb-growth");
    assert_eq!((found.len(), found[0].count), (1, 100), "{found:?}");
    assert!(found[0].evidence[0].what.contains("100 of 100"), "{}", found[0].evidence[0].what);
    assert!(mappings(10).diagnoses("swiotlb-growth").is_empty(), "40 are few");
    let idle = mappings(4).pause(60_000_000_000).diagnoses("swiotlb-growth");
    assert_eq!(idle.len(), 1, "time alone is nothing");
    // A ring that is filled once and kept.
    let ring = (0..200)
        .fold(Session::new(), |session, index| session.event(Body::SwiotlbMapSingle(map(index * 4096))));
    assert!(ring.diagnoses("swiotlb-growth").is_empty());
    let used = (0..200).fold(ring, |session, index| {
        let session = session.pause(5_000_000).event(Body::SwiotlbUnmapSingle(unmap(index * 4096)));
        session.event(Body::SwiotlbMapSingle(map(index * 4096)))
    });
    assert!(used.diagnoses("swiotlb-growth").is_empty());
}

#[test]
fn walks_over_very_many_mappings() {
    let visit = |mapcount| Body::TryToUnmapOne(VmaVisit { mapcount, ..visit() });
    let walked = Body::TryToUnmap(walk(FLAGS, 0));
    let sampled = [visit(2048), visit(1024), walked, visit(10), walked];
    let found = Session::new().events(sampled).diagnoses("long-rmap-walk");
    assert_eq!((found[0].count, found[0].evidence.len()), (1, 1));
    assert!(found[0].summary.contains("at least 2048"), "{}", found[0].summary);
    let counted = Session::new().events((0..1500).map(|_| visit(3)));
    assert_eq!(counted.diagnoses("long-rmap-walk")[0].count, 1);
    let short = (0..1500).flat_map(|_| [visit(3), walked]);
    assert!(Session::new().events(short).diagnoses("long-rmap-walk").is_empty());
}
