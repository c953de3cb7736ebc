//! Every exclusive entry ends, once.

use tracer_common::event::{Body, ExclusivePage, Kind, RestoreExclusive, UNKNOWN};

use super::Rule;
use crate::check::Severity;
use crate::check::facts::Facts;
use crate::check::info::{Need, RuleInfo};
use crate::check::ledger::Bench;
use crate::event::Event;

pub const INFO: RuleInfo = RuleInfo {
    name: "exclusive-ends-once",
    title: "each device-exclusive entry ends by restore, zap, unmap or migration, and never twice",
    severity: Severity::Corruption,
    statement: "The entry owns a reference to its page, and to 6.14 takes the mapping's place. Restoring what is not \
                exclusive, or not that page, adds a mapping that nobody owns; an entry that outlives its address space \
                leaks the page. Looked at: the entry that restore_exclusive_pte found, which must be an exclusive one \
                of the page that it restores; whether an entry was made again while it was there; whether one was left \
                when the address space ended.",
    citations: &[
        "6.12 mm/memory.c, restore_exclusive_pte and its caller remove_device_exclusive_entry (pte_same under the lock)",
        "6.12 mm/memory.c, zap_pte_range: is_device_exclusive_entry",
        "6.12 mm/rmap.c, page_make_device_exclusive_one: the reference of the mapping becomes that of the entry",
    ],
    kernels: "5.14 on, with CONFIG_DEVICE_PRIVATE",
    needs: &[
        Need::whole(Kind::ExclusivePage, "entries that were made"),
        Need::required(Kind::RestoreExclusive, "the entry that was found, and its end"),
        Need::required(Kind::ExclusiveZap, "ends by munmap, MADV_DONTNEED and exit"),
        Need::required(Kind::ExclusiveMove, "new addresses after mremap"),
        Need::required(Kind::ExclusiveExit, "the end of the address space"),
        Need::required(Kind::TryToUnmap, "ends by reclaim"),
        Need::required(Kind::TryToMigrate, "ends by migration"),
        Need::optional(Kind::ExclusiveFault, "the process that the memory belongs to"),
        Need::optional(Kind::MakeDeviceExclusive, "the process that the memory belongs to"),
    ],
    exceptions: &[
        "Entries made before the session, by attempts that failed, or in other processes that map the page (to 6.14) \
         have no beginning in the stream: their restore is legal.",
        "mremap moves entries as they are; mprotect turns writable ones into read-only ones.",
        "MADV_DONTNEED of another thread may drop an entry while it is made.",
        "Made again is judged only when every task is watched: another one may have restored it.",
    ],
    example: "restore_exclusive: the entry that was restored is not device-exclusive; address=0x7f1234567000 \
              pfn=0x12345 old_entry=present; before: made exclusive",
    idle: "no page was made device-exclusive",
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
    Box::new(EndsOnce { sees_every_end, sees_exits })
}

struct EndsOnce {
    sees_every_end: bool,
    sees_exits: bool,
}

impl Rule for EndsOnce {
    fn event(&mut self, event: &Event, bench: &mut Bench<'_>) {
        match &event.body {
            Body::RestoreExclusive(restore) => restored(event, restore, bench),
            Body::ExclusivePage(page) => self.made(event, page, bench),
            Body::ExclusiveExit(exit) => self.exited(event, exit.mm, bench),
            _ => {}
        }
    }

    fn finish(&mut self, _end: u64, bench: &mut Bench<'_>) {
        let unfollowed = bench.scene.state.exclusive.unfollowed();
        if unfollowed > 0 {
            bench.ledger.notes.push(format!(
                "{unfollowed} pages were made exclusive while more than 262144 were followed; their ends were not \
                 looked for"
            ));
        }
    }
}

impl EndsOnce {
    fn made(&self, event: &Event, page: &ExclusivePage, bench: &mut Bench<'_>) {
        if !self.sees_every_end {
            return;
        }
        let scene = bench.scene;
        let Some(live) = scene.state.exclusive.at(page.mm, page.address) else { return };
        let is_certain =
            live.is_certain && !scene.state.exclusive.may_be_zapped(&event.header, page.mm, page.address);
        if is_certain && live.page == page.page {
            bench.contradicted(
                event,
                "the page was made exclusive again, and its entry had not ended",
                &live.made,
                "made exclusive",
            );
        }
    }

    fn exited(&self, event: &Event, mm: u64, bench: &mut Bench<'_>) {
        if !self.sees_exits {
            return;
        }
        let scene = bench.scene;
        for (address, live) in scene.state.exclusive.of_mm(mm) {
            let what = "the address space ended, and this exclusive entry had not";
            if let Some(evidence) = bench.contradicted(event, what, &live.made, "made exclusive") {
                evidence.address = Some(address);
                evidence.pfn = scene.facts.decoder.pfn(live.page);
            }
        }
    }
}

fn restored(event: &Event, restore: &RestoreExclusive, bench: &mut Bench<'_>) {
    let scene = bench.scene;
    let what = match scene.facts.exclusive_entry(restore.old_entry) {
        None if restore.old_entry == UNKNOWN => return bench.unreadable("the entry before the restore"),
        None => return bench.unreadable("the types of device-exclusive entries of this kernel"),
        Some(Err(_)) => "the entry that was restored is not device-exclusive",
        Some(Ok(entry)) => match (entry.pfn, scene.facts.decoder.pfn(restore.page)) {
            (Some(of_entry), Some(of_page)) if of_entry != of_page => {
                "the entry that was restored is that of another page"
            }
            _ => return bench.held(),
        },
    };
    let made = scene.state.exclusive.of_page(restore.page).map(|(_, live)| live.made);
    if let Some(evidence) = bench.violated(event, what)
        && let Some(made) = made
    {
        evidence.before.push(scene.earlier(&made, "made exclusive"));
    }
}
