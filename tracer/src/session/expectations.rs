//! Attached is not firing: a compiler may copy a function into a caller, and its probe then sees part of the
//! calls, or none. Some points cannot be hit without another one; where that other one stayed silent, its
//! probe misses calls.

use tracer_common::counters::Counters;
use tracer_common::point::Point;

use crate::probe::Plan;

/// The second cannot stay silent when the first is hit.
const IMPLIED: &[(Point, Point)] = &[
    // The visits of a walk happen inside the walk (mm/rmap.c).
    (Point::TryToUnmapOne, Point::TryToUnmap),
    (Point::TryToMigrateOne, Point::TryToMigrate),
    (Point::PageMlockOne, Point::PageMlock),
    // try_to_migrate_one sets the entries that the tracepoint tells of (mm/rmap.c).
    (Point::SetMigrationPte, Point::TryToMigrate),
    // remove_migration_pte is the only one to fire its tracepoint (mm/migrate.c).
    (Point::MigrationPteRemoved, Point::RemoveMigrationPte),
    // copy_pte_range runs inside copy_page_range (mm/memory.c).
    (Point::CopyPteRange, Point::CopyPageRange),
    // What a device has made exclusive is zapped at the latest when its process ends, and both are counted
    // whatever the process: exit_mmap unmaps with unmap_page_range (mm/mmap.c, mm/memory.c).
    (Point::ExitMmap, Point::UnmapPageRange),
    // swiotlb_map takes its slots with swiotlb_tbl_map_single (kernel/dma/swiotlb.c).
    (Point::SwiotlbMap, Point::SwiotlbTblMapSingle),
];

/// Points that are attached and were not hit, although another point shows that they were called.
pub fn silent(plan: &Plan, totals: &Counters) -> Vec<(Point, Point)> {
    let attached = |point: Point| plan.point(point).report.outcome.is_attached();
    let hits = |point: Point| totals.hits[point as usize];
    IMPLIED
        .iter()
        .copied()
        .filter(|(cause, effect)| {
            attached(*cause) && attached(*effect) && hits(*cause) > 0 && hits(*effect) == 0
        })
        .collect()
}
