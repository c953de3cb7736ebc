//! Attached is not firing: a compiler may copy a function into a caller, and its probe then sees part of the
//! calls, or none. Some points cannot be hit without another one; where that other one stayed silent, its
//! probe misses calls.

use tracer_common::point::Point;

use crate::event::{Silence, Summary};
use crate::probe::{PointReport, catalogue};

/// How often a point is hit when another one is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AtLeast {
    /// Once.
    Once,
    /// As often.
    AsOften,
}

/// When the first is hit, so is the second.
const IMPLIED: &[(Point, Point, AtLeast)] = &[
    // The visits of a walk happen inside the walk (mm/rmap.c).
    (Point::TryToUnmapOne, Point::TryToUnmap, AtLeast::Once),
    (Point::TryToMigrateOne, Point::TryToMigrate, AtLeast::Once),
    (Point::PageMlockOne, Point::PageMlock, AtLeast::Once),
    // try_to_migrate_one sets the entries that the tracepoint tells of (mm/rmap.c).
    (Point::SetMigrationPte, Point::TryToMigrate, AtLeast::Once),
    (Point::SetMigrationPte, Point::TryToMigrateOne, AtLeast::Once),
    // remove_migration_pte is the only one to fire its tracepoint (mm/migrate.c).
    (Point::MigrationPteRemoved, Point::RemoveMigrationPte, AtLeast::Once),
    // copy_pte_range runs inside copy_page_range (mm/memory.c).
    (Point::CopyPteRange, Point::CopyPageRange, AtLeast::Once),
    // What a device has made exclusive is zapped at the latest when its process ends, and both are counted
    // whatever the process: exit_mmap unmaps each VMA with unmap_page_range, and every address space that is
    // brought down has one (mm/mmap.c, mm/memory.c).
    (Point::ExitMmap, Point::UnmapPageRange, AtLeast::AsOften),
    // swiotlb_map takes its slots with one call of swiotlb_tbl_map_single (kernel/dma/swiotlb.c).
    (Point::SwiotlbMap, Point::SwiotlbTblMapSingle, AtLeast::AsOften),
];

/// Of so many hits one may be missing: an interrupt may count between another program's reading and writing of the
/// same counter.
const ONE_MISCOUNTED_OF: u64 = 1 << 10;

/// Points that are attached and were hit less often than another point shows that they were called.
///
/// Only hits while every probe was attached can be compared: while they are attached one after the other, and
/// detached, one of two is hit alone. A call may be under way on every CPU when counting begins or ends; and what
/// the kernel skipped was counted as missed.
pub fn silent(probes: &[PointReport], possible_cpus: u32, summary: &Summary) -> Vec<Silence> {
    let hits = |point: Point| {
        let is_attached = probes.iter().any(|report| report.is_of(point) && report.outcome.is_attached());
        summary.watched_hits.get(catalogue::entry(point).name()).copied().filter(|_| is_attached)
    };
    let found = IMPLIED.iter().filter_map(|&(cause, effect, at_least)| {
        let (causes, effects) = (hits(cause)?, hits(effect)?);
        let missed = summary.missed.get(effect.family().name()).copied().unwrap_or_default();
        let slack = u64::from(possible_cpus) + missed + causes / ONE_MISCOUNTED_OF;
        let is_short = match at_least {
            AtLeast::Once => causes > 0 && effects == 0,
            AtLeast::AsOften => causes > 0 && effects == 0 || effects.saturating_add(slack) < causes,
        };
        is_short.then(|| silence(cause, causes, effect, effects))
    });
    let mut silences: Vec<Silence> = Vec::new();
    for silence in found {
        if !silences.iter().any(|known| known.points == silence.points) {
            silences.push(silence);
        }
    }
    silences
}

fn silence(cause: Point, causes: u64, effect: Point, effects: u64) -> Silence {
    let name = |point: Point| catalogue::entry(point).name();
    let often = match effects {
        0 => "never fired".to_owned(),
        effects => format!("fired only {effects} times"),
    };
    let times = if causes == 1 { "once".to_owned() } else { format!("{causes} times") };
    let (after, before) = Silence::ALWAYS;
    Silence {
        reason: format!(
            "{} is attached and {often}, although {} fired {times}: the compiler may have copied it into its callers",
            name(effect),
            name(cause)
        ),
        remedy: "drop the rule on this kernel (--not-rule)".to_owned(),
        points: vec![name(effect).to_owned()],
        times: 1,
        after,
        before,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{AttachMethod, Outcome};

    fn report(point: Point, attached: bool) -> PointReport {
        let entry = catalogue::entry(point);
        let symbol = entry.name().to_owned();
        PointReport {
            point: symbol.clone(),
            family: point.family().name().to_owned(),
            events: Vec::new(),
            outcome: match attached {
                true => Outcome::Attached { symbol, method: AttachMethod::Fentry },
                false => Outcome::NotAsked,
            },
            attempts: Vec::new(),
        }
    }

    fn found(hits: &[(Point, u64)], missed: u64) -> Vec<String> {
        let probes: Vec<PointReport> =
            Point::ALL.iter().map(|point| report(*point, hits.iter().any(|(hit, _)| hit == point))).collect();
        let hits = hits.iter().map(|(point, hits)| (catalogue::entry(*point).name().to_owned(), *hits));
        let missed = [("exclusive".to_owned(), missed)].into();
        let summary = Summary { watched_hits: hits.collect(), missed, ..Summary::default() };
        silent(&probes, 2, &summary).into_iter().map(|silence| silence.reason).collect()
    }

    #[test]
    fn what_never_fired_is_told() {
        assert!(found(&[], 0).is_empty());
        assert!(found(&[(Point::TryToUnmapOne, 7)], 0).is_empty(), "the other one is not attached");
        assert!(found(&[(Point::TryToUnmapOne, 7), (Point::TryToUnmap, 1)], 0).is_empty());
        assert!(found(&[(Point::TryToUnmapOne, 0), (Point::TryToUnmap, 0)], 0).is_empty());
        let reasons = found(&[(Point::TryToUnmapOne, 7), (Point::TryToUnmap, 0)], 0);
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        assert!(reasons[0].starts_with(
            "try_to_unmap is attached and never fired, although try_to_unmap_one fired 7 times"
        ));
    }

    #[test]
    fn what_fired_too_seldom_is_told() {
        let exits = |exits, zaps| [(Point::ExitMmap, exits), (Point::UnmapPageRange, zaps)];
        assert!(found(&exits(100, 100), 0).is_empty());
        assert!(found(&exits(100, 98), 0).is_empty(), "calls under way on two CPUs");
        assert!(found(&exits(100_000, 99_905), 0).is_empty(), "counted at once on one CPU");
        assert_eq!(found(&exits(100, 50), 0).len(), 1, "half of the callers have a copy");
        assert!(found(&exits(100, 50), 48).is_empty(), "the kernel says that it skipped them");
        assert_eq!(found(&exits(1, 0), 0).len(), 1);
    }

    #[test]
    fn hits_while_probes_are_attached_one_by_one_say_nothing() {
        let probes = [report(Point::SwiotlbMap, true), report(Point::SwiotlbTblMapSingle, true)];
        let hits = [(Point::SwiotlbMap, 4), (Point::SwiotlbTblMapSingle, 0)];
        let hits = hits.map(|(point, hits)| (catalogue::entry(point).name().to_owned(), hits));
        let mut summary = Summary { hits: hits.into(), ..Summary::default() };
        assert!(silent(&probes, 2, &summary).is_empty(), "nobody says when they were");
        summary.watched_hits = summary.hits.keys().map(|name| (name.clone(), 0)).collect();
        assert!(silent(&probes, 2, &summary).is_empty());
    }

    #[test]
    fn a_silent_point_is_told_once() {
        let hits = [(Point::TryToMigrateOne, 7), (Point::SetMigrationPte, 7), (Point::TryToMigrate, 0)];
        assert_eq!(found(&hits, 0).len(), 1);
    }
}
