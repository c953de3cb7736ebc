//! Walks that unmap get a locked folio and flags that they accept.

use tracer_common::event::{Body, FolioWalk, Kind};

use super::Rule;
use crate::check::Severity;
use crate::check::facts::Facts;
use crate::check::findings::RuleContext;
use crate::check::info::{Need, RuleInfo};
use crate::event::Event;

pub const INFO: RuleInfo = RuleInfo {
    name: "rmap-caller-locked",
    title: "try_to_unmap, try_to_migrate and page_mlock get a locked folio and flags that they accept",
    severity: Severity::Broken,
    statement: "The callers of these walks hold the folio's lock throughout: it keeps folio->mapping and, for file \
                pages and KSM, the list of VMAs stable. try_to_migrate accepts only TTU_RMAP_LOCKED, \
                TTU_SPLIT_HUGE_PMD, TTU_SYNC and TTU_BATCH_FLUSH and does nothing if given others. Checked: PG_locked \
                when the walk returns, and the caller's flags against the kernel's own enum.",
    citations: &[
        "6.12 mm/rmap.c, try_to_unmap, try_to_migrate: caller must hold the folio lock",
        "6.12 mm/rmap.c, try_to_migrate: WARN_ON_ONCE(flags & ~(...))",
        "5.15 mm/rmap.c, page_mlock: VM_BUG_ON_PAGE(!PageLocked(page) || PageLRU(page), page)",
    ],
    kernels: "all; page_mlock in 5.14 to 5.17",
    needs: &[
        Need::required(Kind::TryToUnmap, "the folio's lock and the flags"),
        Need::required(Kind::TryToMigrate, "the folio's lock and the flags"),
        Need::where_possible(Kind::PageMlock, "the page's lock (5.14 to 5.17)"),
    ],
    exceptions: &[
        "A folio may still be mapped after the walk.",
        "Another task may hold the lock: PG_locked has no owner.",
        "Flags are not judged on a kernel whose BTF lacks the enum.",
    ],
    example: "try_to_unmap: the folio is not locked; pfn=0x12345 flags=uptodate|lru|swapbacked mapcount=0 \
              ttu_flags=TTU_BATCH_FLUSH",
    idle: "nothing was unmapped or migrated",
};

/// What `try_to_migrate` accepts (6.12 mm/rmap.c).
const ACCEPTED: [&str; 4] = ["TTU_RMAP_LOCKED", "TTU_SPLIT_HUGE_PMD", "TTU_SYNC", "TTU_BATCH_FLUSH"];

pub fn make(facts: &Facts) -> Box<dyn Rule> {
    Box::new(CallerLocked { refused: facts.ttu_mask(&ACCEPTED).map_or(0, |accepted| !accepted) })
}

struct CallerLocked {
    /// Flags that `try_to_migrate` does not accept; none where the kernel's table is not known.
    refused: u32,
}

impl Rule for CallerLocked {
    #[inline]
    fn event(&mut self, event: &Event, context: &mut RuleContext<'_>) {
        match &event.body {
            Body::TryToUnmap(walk) | Body::PageMlock(walk) => locked(event, walk, 0, context),
            Body::TryToMigrate(walk) => locked(event, walk, self.refused, context),
            _ => {}
        }
    }
}

#[inline]
fn locked(event: &Event, walk: &FolioWalk, refused: u32, context: &mut RuleContext<'_>) {
    match context.stream.facts.is_locked(walk.flags) {
        Some(false) => {
            context.violated(event, "the folio is not locked");
        }
        _ if walk.ttu_flags & refused != 0 => {
            context.violated(event, format!("flags {:#x} are not accepted", walk.ttu_flags & refused));
        }
        Some(true) => context.held(),
        None => context.unreadable("the folio's flags"),
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::event::{Body, Kind, UNKNOWN};

    use super::INFO;
    use crate::check::Outcome;
    use crate::check::testing::*;
    use tracer_common::family::Family;

    #[test]
    fn locked_folios_and_accepted_flags_pass() {
        let walks = [
            Body::TryToUnmap(walk(FLAGS, 0xff)),
            Body::TryToMigrate(walk(FLAGS, 0x80 | 0x40 | 0x10 | 4)),
            Body::PageMlock(walk(FLAGS, 0)),
        ];
        passes(INFO.name, 3, walks);
    }

    #[test]
    fn unlocked_folios_and_refused_flags_do_not() {
        let bodies = [Body::TryToUnmap, Body::PageMlock];
        for body in bodies {
            violates(INFO.name, "not locked", [body(walk(UNLOCKED, 0))]);
        }
        violates(INFO.name, "0x8 are not accepted", [Body::TryToMigrate(walk(FLAGS, 8 | 0x40))]);
    }

    #[test]
    fn flags_are_judged_by_the_kernels_own_table_only() {
        let session = Session::new().event(Body::TryToMigrate(walk(FLAGS, 8)));
        let session = session.header(|header| header.kernel.enums.clear());
        assert_eq!(counts(&session.rule(INFO.name)), (Outcome::Pass, 1, 0));
    }

    #[test]
    fn what_is_not_seen_is_open() {
        is_open(INFO.name, "flags", &Session::new().event(Body::TryToUnmap(walk(UNKNOWN, 0))));
        let good = Session::new().event(Body::TryToUnmap(walk(FLAGS, 0)));
        is_open(INFO.name, "3 rmap events were lost", &good.clone().loss(Some(Family::Rmap)));
        is_open(INFO.name, "did not end in order", &good.clone().cut());
        assert_eq!(good.clone().loss(Some(Family::Swiotlb)).rule(INFO.name).outcome, Outcome::Pass);
        assert_eq!(good.impossible(Kind::PageMlock).rule(INFO.name).outcome, Outcome::Pass, "as on 6.12");
    }
}
