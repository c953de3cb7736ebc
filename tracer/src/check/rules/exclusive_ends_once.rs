//! Every exclusive entry ends, once.

use rustc_hash::FxHashMap;
use tracer_common::event::{Body, ExclusivePage, Kind, MakeDeviceExclusive, RestoreExclusive, UNKNOWN};

use super::Rule;
use crate::check::Severity;
use crate::check::facts::Facts;
use crate::check::findings::RuleContext;
use crate::check::info::{Need, RuleInfo};
use crate::event::{Event, Header};

pub const INFO: RuleInfo = RuleInfo {
    name: "exclusive-ends-once",
    title: "each device-exclusive entry ends by restore, zap, unmap or migration, and never twice",
    severity: Severity::Corruption,
    statement: "The entry owns a reference to its page, and up to 6.14 replaces the mapping. Restoring an entry that \
                is not exclusive, or the wrong page, adds a mapping without a reference; an entry that outlives its \
                address space leaks the page. Checked: that the entry found by restore_exclusive_pte is an exclusive \
                one of the page that it restores; that no entry is made twice without an end, or restored twice \
                without being made again; that none is left when the address space ends.",
    citations: &[
        "6.12 mm/memory.c, restore_exclusive_pte and its caller remove_device_exclusive_entry (pte_same under the lock)",
        "6.12 mm/memory.c, zap_pte_range: is_device_exclusive_entry",
        "6.12 mm/rmap.c, page_make_device_exclusive_one: the reference of the mapping becomes that of the entry",
        "7.3 mm/rmap.c, try_to_unmap_one and try_to_migrate_one (6.15 on): an exclusive entry is swapped out or migrated \
         as the mapping that it still is, without a restore",
    ],
    kernels: "5.14 on, with CONFIG_DEVICE_PRIVATE",
    needs: &[
        Need::whole(Kind::ExclusivePage, "entries that were made").occasion(),
        Need::required(Kind::RestoreExclusive, "the entry that was found, and its end").occasion(),
        Need::required(Kind::ExclusiveZap, "ends by munmap, MADV_DONTNEED and exit"),
        Need::required(Kind::ExclusiveMove, "new addresses after mremap"),
        Need::required(Kind::ExclusiveExit, "the end of the address space"),
        Need::required(Kind::TryToUnmap, "ends by reclaim"),
        Need::required(Kind::TryToMigrate, "ends by migration"),
        Need::optional(Kind::ExclusiveFault, "the process that the memory belongs to"),
        Need::optional(
            Kind::MakeDeviceExclusive,
            "attempts that failed, and the process that the memory belongs to",
        )
        .occasion(),
    ],
    exceptions: &[
        "Entries made before the session, by attempts that failed, or in other processes that map the page (up to \
         6.14) have no beginning in the trace: their restore is legal.",
        "mremap moves entries as they are; mprotect turns writable ones into read-only ones (up to 6.14).",
        "MADV_DONTNEED in another thread may drop an entry while it is being made.",
        "Making and restoring twice are judged only if every task is watched, because another task may have \
         intervened.",
        "A failed attempt may create entries, so a second restore after one is not judged.",
    ],
    example: "restore_exclusive: the entry that was restored is not device-exclusive; address=0x7f1234567000 \
              pfn=0x12345 old_entry=present; before: made exclusive",
    idle: "no device-exclusive entry ended",
};

const ENDS: [Kind; 6] = [
    Kind::RestoreExclusive,
    Kind::ExclusiveZap,
    Kind::ExclusiveMove,
    Kind::ExclusiveExit,
    Kind::TryToUnmap,
    Kind::TryToMigrate,
];

pub fn make(facts: &Facts) -> Box<dyn Rule> {
    let sees_every_end = !facts.is_filtered && ENDS.into_iter().all(|kind| facts.has(kind));
    let sees_exits = [Kind::ExclusiveZap, Kind::ExclusiveMove].into_iter().all(|kind| facts.has(kind));
    let sees_every_make = !facts.is_filtered && facts.has(Kind::MakeDeviceExclusive);
    Box::new(EndsOnce {
        sees_every_make,
        sees_every_end,
        sees_exits,
        restored: FxHashMap::default(),
        revived: Vec::new(),
    })
}

/// Most pages whose last restore is remembered.
const MOST_RESTORED: usize = 1 << 16;

/// Most restores of entries that seem to have come back.
const MOST_REVIVED: usize = 1 << 10;

/// How long a call that makes pages exclusive may take to return, nanoseconds.
const RETURN_TIME: u64 = 1_000_000_000;

struct EndsOnce {
    sees_every_make: bool,
    sees_every_end: bool,
    sees_exits: bool,
    /// By page, its last restore and where that was.
    restored: FxHashMap<u64, ((u64, u64), Header)>,
    /// Restores of an entry that had been restored before, with that earlier one. A call that failed may have made
    /// the entry anew: it tells so when it returns.
    revived: Vec<(Event, Header)>,
}

impl Rule for EndsOnce {
    fn event(&mut self, event: &Event, context: &mut RuleContext<'_>) {
        match &event.body {
            Body::RestoreExclusive(restore) => {
                let is_exclusive = restored(event, restore, context);
                if is_exclusive && self.sees_every_make {
                    self.remember(event, restore);
                }
            }
            Body::ExclusivePage(page) => {
                self.restored.remove(&page.page);
                self.made(event, page, context);
            }
            Body::MakeDeviceExclusive(make) => self.called(event, make, context),
            Body::ExclusiveZap(zap) => {
                let entries = context.stream.state.exclusive.in_range(zap.mm, zap.start, zap.end);
                context.findings.evaluated += entries as u64;
            }
            Body::ExclusiveExit(exit) => self.exited(event, exit.mm, context),
            _ => {}
        }
    }

    fn lost(&mut self) {
        self.restored.clear();
        self.revived.clear();
    }

    fn finish(&mut self, end: u64, context: &mut RuleContext<'_>) {
        self.settle(end, context);
        let unfollowed = context.stream.state.exclusive.unfollowed();
        if unfollowed > 0 {
            context.findings.notes.push(format!(
                "{unfollowed} exclusive pages exceeded the limit of 262144 and were not followed"
            ));
        }
    }
}

impl EndsOnce {
    fn remember(&mut self, event: &Event, restore: &RestoreExclusive) {
        let place = (restore.mm, restore.address);
        if self.restored.len() >= MOST_RESTORED {
            self.restored.clear();
        }
        if let Some((earlier_place, earlier)) = self.restored.insert(restore.page, (place, event.header))
            && earlier_place == place
            && self.revived.len() < MOST_REVIVED
        {
            self.revived.push((*event, earlier));
        }
    }

    fn called(&mut self, event: &Event, make: &MakeDeviceExclusive, context: &mut RuleContext<'_>) {
        self.settle(event.header.time, context);
        let pages = make.end.saturating_sub(make.start) / context.stream.facts.page_size;
        if u64::from(make.made) < pages {
            // An attempt that fails may leave entries of which no event tells, in any address space that maps
            // the page (6.12 mm/rmap.c, folio_make_device_exclusive).
            self.lost();
        }
    }

    /// Tells of entries that came back, where no call that is still to return can have made them anew.
    fn settle(&mut self, now: u64, context: &mut RuleContext<'_>) {
        for (event, earlier) in
            self.revived.extract_if(.., |(event, _)| now.saturating_sub(event.header.time) >= RETURN_TIME)
        {
            context.findings.evaluated -= 1;
            context.contradicted(
                &event,
                "the entry was already restored, and the page was not made exclusive since",
                &earlier,
                "restored",
            );
        }
    }

    fn made(&self, event: &Event, page: &ExclusivePage, context: &mut RuleContext<'_>) {
        if !self.sees_every_end {
            return;
        }
        let stream = context.stream;
        let Some(live) = stream.state.exclusive.at(page.mm, page.address) else { return };
        let is_certain =
            live.is_certain && !stream.state.exclusive.may_be_zapped(&event.header, page.mm, page.address);
        if is_certain && live.page == page.page {
            context.contradicted(
                event,
                "the page was made exclusive again before its entry ended",
                &live.made,
                "made exclusive",
            );
        }
    }

    fn exited(&self, event: &Event, mm: u64, context: &mut RuleContext<'_>) {
        if !self.sees_exits {
            return;
        }
        let stream = context.stream;
        for (address, live) in stream.state.exclusive.of_mm(mm) {
            let what = "the address space ended before this exclusive entry";
            if let Some(evidence) = context.contradicted(event, what, &live.made, "made exclusive") {
                evidence.address = Some(address);
                evidence.pfn = stream.facts.decoder.pfn(live.page);
            }
        }
    }
}

/// Judges the entry that a restore found; whether it is one of the page's exclusive entries.
fn restored(event: &Event, restore: &RestoreExclusive, context: &mut RuleContext<'_>) -> bool {
    let stream = context.stream;
    let what = match stream.facts.exclusive_entry(restore.old_entry) {
        None if restore.old_entry == UNKNOWN => {
            context.unreadable("the entry before the restore");
            return false;
        }
        None => {
            context.unreadable("the types of device-exclusive entries of this kernel");
            return false;
        }
        Some(Err(_)) => "the entry that was restored is not device-exclusive",
        Some(Ok(entry)) => match (entry.pfn, stream.facts.decoder.pfn(restore.page)) {
            (Some(of_entry), Some(of_page)) if of_entry != of_page => {
                "the entry that was restored is that of another page"
            }
            _ => {
                context.held();
                return true;
            }
        },
    };
    let made = stream.state.exclusive.of_page(restore.page).map(|(_, live)| live.made);
    if let Some(evidence) = context.violated(event, what)
        && let Some(made) = made
    {
        evidence.before.push(stream.earlier(&made, "made exclusive"));
    }
    false
}

#[cfg(test)]
mod tests {
    use tracer_common::event::{
        Body, ExclusiveExit, ExclusiveMove, ExclusivePage, ExclusiveZap, Kind, MakeDeviceExclusive,
        RestoreExclusive, UNKNOWN,
    };

    use super::INFO;
    use crate::check::Outcome;
    use crate::check::testing::*;
    use tracer_common::family::Family;

    const MADE: fn() -> Body = || Body::ExclusivePage(exclusive_page());
    const RESTORED: fn() -> Body = || Body::RestoreExclusive(restore());

    fn zap(start: u64) -> Body {
        Body::ExclusiveZap(ExclusiveZap { mm: MM, start, end: start + 0x1000 })
    }

    fn moved(old_address: u64, new_address: u64) -> Body {
        Body::ExclusiveMove(ExclusiveMove { mm: MM, old_address, new_address, length: 0x1000 })
    }

    fn exit() -> Body {
        Body::ExclusiveExit(ExclusiveExit { mm: MM })
    }

    #[test]
    fn every_legal_end_lets_it_be_made_again() {
        passes(INFO.name, 2, [MADE(), RESTORED(), MADE(), RESTORED(), exit()]);
        passes(INFO.name, 2, [MADE(), zap(ADDRESS), MADE(), zap(ADDRESS), exit()]);
        for end in [Body::TryToUnmap(walk(FLAGS, 0)), Body::TryToMigrate(walk(FLAGS, 0))] {
            passes(INFO.name, 1, [MADE(), end, MADE(), zap(ADDRESS), exit()]);
        }
    }

    #[test]
    fn restores_without_a_beginning_are_legal() {
        let read = RestoreExclusive { old_entry: exclusive_entry(PFN, false), mm: MM + 0x4000, ..restore() };
        let read = RestoreExclusive { new_entry: present_entry(PFN), ..read };
        passes(INFO.name, 2, [RESTORED(), Body::RestoreExclusive(read)]);
    }

    #[test]
    fn restored_twice_or_not_exclusive_at_all() {
        let again = RestoreExclusive { old_entry: present_entry(PFN), ..restore() };
        let verdict =
            violates(INFO.name, "not device-exclusive", [MADE(), RESTORED(), Body::RestoreExclusive(again)]);
        assert_eq!((verdict.evidence[0].address, verdict.evidence[0].pfn), (Some(ADDRESS), Some(PFN)));
        let other = RestoreExclusive { old_entry: exclusive_entry(PFN + 1, true), ..restore() };
        let verdict = violates(INFO.name, "another page", [MADE(), Body::RestoreExclusive(other)]);
        assert_eq!(verdict.evidence[0].before[0].what, "made exclusive");
    }

    #[test]
    fn restored_again_without_being_made_again() {
        let make = |made| {
            Body::MakeDeviceExclusive(MakeDeviceExclusive {
                mm: MM,
                start: ADDRESS,
                end: ADDRESS + 0x1000,
                owner: 0,
                result: 1,
                made,
                unchecked: 0,
                duration: 0,
            })
        };
        let twice = Session::new().events([MADE(), make(1), RESTORED(), RESTORED()]);
        let verdict = twice.clone().pause(2_000_000_000).rule(INFO.name);
        assert_eq!(counts(&verdict), (Outcome::Violated, 2, 1));
        assert_eq!(verdict.evidence[0].before[0].what, "restored");
        // A call that fails tells of it only now.
        let failed = twice.clone().event(make(0)).pause(2_000_000_000).rule(INFO.name);
        assert_eq!(counts(&failed), (Outcome::Pass, 2, 0));
        assert_eq!(twice.clone().rule(INFO.name).outcome, Outcome::Pass, "it may be on its way");
        assert_eq!(twice.clone().filtered().pause(2_000_000_000).rule(INFO.name).outcome, Outcome::Pass);
        is_open(
            INFO.name,
            "exclusive events were missed",
            &twice.pause(2_000_000_000).missed(Family::Exclusive),
        );
        let between = Session::new().events([MADE(), RESTORED(), MADE(), RESTORED()]).pause(2_000_000_000);
        assert_eq!(between.rule(INFO.name).outcome, Outcome::Pass);
        // Other mappings of the page are restored on their own.
        let other = RestoreExclusive { mm: MM + 0x4000, ..restore() };
        let shared = Session::new().events([MADE(), RESTORED(), Body::RestoreExclusive(other)]);
        assert_eq!(shared.pause(2_000_000_000).rule(INFO.name).outcome, Outcome::Pass);
    }

    #[test]
    fn made_again_without_an_end() {
        let verdict = violates(INFO.name, "made exclusive again", [MADE(), MADE(), zap(ADDRESS)]);
        assert_eq!(verdict.evidence[0].before[0].actor.time, 0);
        // Another page at that address: the first was replaced by copy-on-write, and the entry ended unseen.
        let other = ExclusivePage { page: PAGE + 64, ..exclusive_page() };
        passes(INFO.name, 1, [MADE(), Body::ExclusivePage(other), zap(ADDRESS)]);
    }

    #[test]
    fn what_others_may_have_done_is_no_violation() {
        let twice = || Session::new().events([MADE(), MADE()]);
        assert_eq!(counts(&twice().filtered().rule(INFO.name)), (Outcome::NotExercised, 0, 0));
        is_open(INFO.name, "try_to_unmap is not watched", &twice().without(Kind::TryToUnmap));
        let lost = Session::new().event(MADE()).loss(Some(Family::Exclusive)).events([MADE(), exit()]);
        let verdict = lost.rule(INFO.name);
        assert_eq!(
            (verdict.outcome, verdict.violations),
            (Outcome::Violated, 1),
            "made after the loss, never ended"
        );
        let late = twice().missed(Family::Exclusive).rule(INFO.name);
        assert_eq!(counts(&late), (Outcome::Inconclusive, 0, 0));
        assert!(late.reasons.iter().any(|reason| reason.contains("1 contradictions")), "{:?}", late.reasons);
        // MADV_DONTNEED of another thread was on its way when the call returned.
        let zapped =
            Session::new().tid(9).event(zap(ADDRESS)).tid(812).events([MADE(), MADE(), zap(ADDRESS)]);
        assert_eq!(zapped.rule(INFO.name).violations, 0);
    }

    #[test]
    fn never_ended() {
        let verdict = violates(INFO.name, "before this", [MADE(), zap(ADDRESS + 0x1000), exit()]);
        assert_eq!((verdict.evidence[0].address, verdict.evidence[0].pfn), (Some(ADDRESS), Some(PFN)));
    }

    #[test]
    fn moved_entries_are_followed() {
        let new = ADDRESS + 0x10_0000;
        passes(INFO.name, 1, [MADE(), moved(ADDRESS, new), zap(new), exit()]);
        violates(INFO.name, "before this", [MADE(), moved(ADDRESS, new), zap(ADDRESS), exit()]);
        let there = RestoreExclusive { address: new, ..restore() };
        passes(INFO.name, 1, [MADE(), moved(ADDRESS, new), Body::RestoreExclusive(there), exit()]);
    }

    #[test]
    fn an_unread_entry_leaves_it_open() {
        let unread = RestoreExclusive { old_entry: UNKNOWN, ..restore() };
        let session = Session::new().event(Body::RestoreExclusive(unread));
        is_open(INFO.name, "the entry before the restore", &session);
        let types = Session::new().event(RESTORED()).header(|header| header.kernel.swap_types.clear());
        is_open(INFO.name, "types of device-exclusive entries", &types);
    }
}
