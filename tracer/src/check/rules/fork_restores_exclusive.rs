//! Fork restores every exclusive entry of the parent and copies none.

use tracer_common::event::{Body, CopyPageRange, Kind, UNCOUNTED};

use super::{Rule, stateless};
use crate::check::Severity;
use crate::check::facts::{Facts, Maker};
use crate::check::findings::RuleContext;
use crate::check::info::{Need, RuleInfo};
use crate::event::Event;
use crate::follow::exclusive::ExclusiveEntry;

pub const INFO: RuleInfo = RuleInfo {
    name: "fork-restores-exclusive",
    title: "fork restores every device-exclusive entry of the parent's range, and none reaches the child",
    severity: Severity::Corruption,
    statement: "An exclusive entry grants the page to one device. fork makes such an entry present again and then \
                copies the page like any other, so that the device loses it and both processes share it copy-on-write. \
                An entry copied to the child would be a second owner. Checked: the page tables of parent and child \
                when copy_page_range returns. The child must have no exclusive entry, whatever the result; the parent \
                must have none if the copy succeeded. If page tables cannot be read, pages that were made exclusive in \
                the parent's range and whose entries have not ended when a copy succeeds are a violation; a copy \
                without such pages is then not judged.",
    citations: &[
        "6.12 mm/memory.c, copy_nonpresent_pte: make device exclusive entries present, then copy as for a present pte",
        "6.12 mm/memory.c, copy_pte_range: WARN_ON_ONCE(ret != -ENOENT) after the restore",
    ],
    kernels: "5.14 on, with CONFIG_DEVICE_PRIVATE",
    needs: &[
        Need::required(Kind::CopyPageRange, "the page tables as the copy returns"),
        Need::required(Kind::RestoreExclusive, "which pages the copy restored").occasion(),
        Need::optional(Kind::MakeDeviceExclusive, "whether any page was exclusive").occasion(),
        Need::optional(Kind::ExclusivePage, "what the parent had, where page tables cannot be read"),
        Need::optional(Kind::ExclusiveZap, "entries ended by munmap, MADV_DONTNEED and exit"),
        Need::optional(Kind::ExclusiveMove, "entries moved by mremap"),
        Need::optional(Kind::ExclusiveExit, "entries ended with the address space"),
    ],
    exceptions: &[
        "A copy that fails leaves the entries that it did not reach; one that meets a locked page fails with -EBUSY, \
         which fork reports as ENOMEM (see fork-enomem-exclusive).",
        "VMAs and address spaces without exclusive entries are not counted as evaluations.",
        "vfork and clone with CLONE_VM copy nothing.",
    ],
    example: "copy_page_range: the child has 2 device-exclusive entries; address=0x7f1234567000 result=0 restored=0 \
              exclusive_left=2 exclusive_copied=2",
    idle: "no process forked while it had device-exclusive pages",
};

pub fn make(_: &Facts) -> Box<dyn Rule> {
    stateless(judge)
}

fn judge(event: &Event, context: &mut RuleContext<'_>) {
    let Body::CopyPageRange(copy) = &event.body else { return };
    let (left, copied) = (copy.exclusive_left, copy.exclusive_copied);
    if left == UNCOUNTED || copied == UNCOUNTED {
        return judge_without_tables(event, copy, context);
    }
    if copied > 0 {
        let what = format!("the child has {}", entries(copied.into()));
        if let Some(evidence) = context.violated(event, what) {
            evidence.address = Some(copy.first_copied);
        }
    } else if left > 0 && copy.result == 0 {
        let what = format!("the copy succeeded and the parent still has {}", entries(left.into()));
        if let Some(evidence) = context.violated(event, what) {
            evidence.address = Some(copy.first_left);
        }
    } else if copy.restored > 0 || left > 0 {
        if copy.unscanned > 0 {
            context.unreadable("all page tables of the range");
        } else {
            context.held();
        }
    } else if copy.unscanned > 0 {
        context.unreadable("all page tables of the range");
    }
}

/// Nobody has looked at the page tables: makes, restores and other ends tell what the parent still has.
fn judge_without_tables(event: &Event, copy: &CopyPageRange, context: &mut RuleContext<'_>) {
    let pages = &context.stream.state.exclusive;
    let is_left = pages.in_range(copy.source_mm, copy.start, copy.end) > 0;
    let left = pages.of_mm(copy.source_mm).filter(|(address, _)| (copy.start..copy.end).contains(address));
    let certain: Vec<(u64, ExclusiveEntry)> =
        left.filter(|(_, live)| live.is_certain).map(|(address, live)| (address, *live)).collect();
    // The shorter the time since, the less can be missing in it.
    let last = certain.iter().max_by_key(|(_, live)| live.made.time).copied();
    if let Some((address, live)) = last
        && copy.result == 0
        && tells_every_end(context.stream.facts)
    {
        let what =
            format!("the copy succeeded, but {} of the parent did not end", entries(certain.len() as u64));
        if let Some(evidence) = context.contradicted(event, what, &live.made, "made exclusive") {
            evidence.address = Some(address);
        }
    } else if copy.restored > 0 || is_left {
        context.unreadable("the page tables of parent and child");
    }
}

/// Whether an entry cannot end without an event. Reclaim and migration leave exclusive pages alone up to 6.14, and are
/// the work of tasks that a filter may leave out.
fn tells_every_end(facts: &Facts) -> bool {
    let ends = [Kind::RestoreExclusive, Kind::ExclusiveZap, Kind::ExclusiveMove, Kind::ExclusiveExit];
    let by_reclaim = [Kind::TryToUnmap, Kind::TryToMigrate];
    ends.iter().all(|kind| facts.has(*kind))
        && (facts.maker == Some(Maker::Range)
            || !facts.is_filtered && by_reclaim.iter().all(|kind| facts.has(*kind)))
}

fn entries(count: u64) -> String {
    format!("{count} device-exclusive {}", if count == 1 { "entry" } else { "entries" })
}

#[cfg(test)]
mod tests {
    use tracer_common::event::{Body, CopyPageRange, Kind, UNCOUNTED};

    use super::INFO;
    use crate::check::Outcome;
    use crate::check::testing::*;
    use tracer_common::family::Family;

    fn counted(restored: u32, left: u32, copied: u32) -> CopyPageRange {
        let (first_left, first_copied) = (ADDRESS + 0x1000, ADDRESS + 0x2000);
        CopyPageRange {
            restored,
            exclusive_left: left,
            exclusive_copied: copied,
            compared: restored,
            first_left,
            first_copied,
            ..copy()
        }
    }

    #[test]
    fn everything_restored_passes() {
        passes(INFO.name, 1, [Body::CopyPageRange(counted(3, 0, 0))]);
        let failed = CopyPageRange { result: -12, ..counted(1, 2, 0) };
        passes(INFO.name, 1, [Body::CopyPageRange(failed)]);
    }

    #[test]
    fn forks_without_exclusive_pages_are_no_evaluation() {
        is_idle(INFO.name, [Body::CopyPageRange(copy()), Body::CopyPageRange(counted(0, 0, 0))]);
    }

    #[test]
    fn entries_left_or_copied_are_violations() {
        let left = violates(INFO.name, "parent still has 2", [Body::CopyPageRange(counted(0, 2, 0))]);
        assert_eq!(left.evidence[0].address, Some(ADDRESS + 0x1000));
        let failed = CopyPageRange { result: -12, unscanned: 1, ..counted(0, 0, 1) };
        let copied = violates(INFO.name, "child has 1", [Body::CopyPageRange(failed)]);
        assert_eq!(copied.evidence[0].address, Some(ADDRESS + 0x2000));
    }

    #[test]
    fn what_is_not_seen_is_open() {
        let unread = Session::new().event(Body::CopyPageRange(CopyPageRange { restored: 1, ..copy() }));
        is_open(INFO.name, "page tables of parent and child", &unread);
        let partly = CopyPageRange { unscanned: 4, ..counted(1, 0, 0) };
        is_open(INFO.name, "all page tables", &Session::new().event(Body::CopyPageRange(partly)));
        let good = Session::new().event(Body::CopyPageRange(counted(3, 0, 0)));
        is_open(INFO.name, "fork events were lost", &good.clone().loss(Some(Family::Fork)));
        is_open(INFO.name, "restore_exclusive is not watched", &good.without(Kind::RestoreExclusive));
    }

    /// A copy whose page tables nobody has read.
    fn unread_copy() -> CopyPageRange {
        let (exclusive_left, exclusive_copied, compared) = (UNCOUNTED, UNCOUNTED, UNCOUNTED);
        let (start, end) = (ADDRESS, ADDRESS + 0x1000);
        CopyPageRange { source_mm: MM, start, end, exclusive_left, exclusive_copied, compared, ..copy() }
    }

    /// The same, of a parent that has made a page exclusive.
    fn unread(result: i32) -> Session {
        let made = Session::new().event(Body::ExclusivePage(exclusive_page()));
        made.event(Body::CopyPageRange(CopyPageRange { result, ..unread_copy() }))
    }

    #[test]
    fn without_page_tables_makes_and_restores_say_what_happened() {
        let verdict = unread(0).rule(INFO.name);
        assert_eq!(counts(&verdict), (Outcome::Violated, 1, 1));
        let evidence = &verdict.evidence[0];
        assert!(
            evidence.what.contains("1 device-exclusive entry of the parent did not end"),
            "{}",
            evidence.what
        );
        assert_eq!((evidence.address, evidence.before[0].what.as_str()), (Some(ADDRESS), "made exclusive"));
        // Never "no process forked while it had device-exclusive pages".
        is_open(INFO.name, "page tables of parent and child", &unread(-12));
        is_open(INFO.name, "page tables of parent and child", &unread(0).without(Kind::ExclusiveZap));
        is_open(INFO.name, "1 contradictions", &unread(0).missed(Family::Exclusive));
        let elsewhere = CopyPageRange { source_mm: MM + 64, ..unread_copy() };
        let made = Session::new().event(Body::ExclusivePage(exclusive_page()));
        assert_eq!(made.event(Body::CopyPageRange(elsewhere)).rule(INFO.name).outcome, Outcome::NotExercised);
    }

    #[test]
    fn a_kernel_without_exclusive_entries_does_not_exercise_it() {
        let session = Session::new().event(Body::CopyPageRange(copy())).impossible(Kind::RestoreExclusive);
        let verdict = session.rule(INFO.name);
        assert_eq!(counts(&verdict), (Outcome::NotExercised, 0, 0));
        assert!(verdict.reasons[0].contains("CONFIG_X"), "{:?}", verdict.reasons);
    }
}
