//! Migration entries exist only while their folio is locked.

use tracer_common::event::{Body, Kind, UNCOUNTED, UNKNOWN};

use super::{Rule, stateless};
use crate::check::Severity;
use crate::check::facts::Facts;
use crate::check::findings::RuleContext;
use crate::check::info::{Need, RuleInfo};
use crate::event::Event;

pub const INFO: RuleInfo = RuleInfo {
    name: "migration-entry-locked",
    title: "a migration entry is installed and removed only while its folio is locked",
    severity: Severity::Corruption,
    statement: "A migration entry stands for a page that is being moved. A task that finds one waits for the page's \
                lock, so the entry may exist only while that lock is held; otherwise the waiter may get a page that is \
                still being copied or was freed. Checked: PG_locked of the folio behind each entry that is set, of \
                source and destination at each visit that removes entries, and of every page that migrate_vma_setup \
                collected.",
    citations: &[
        "6.12 include/linux/swapops.h, swap_entry_migration_sync: BUG_ON(!folio_test_locked(folio))",
        "7.3 include/linux/leafops.h, softleaf_migration_sync (6.19 on): the same, as VM_WARN_ON_ONCE, which \
         distributions disable",
        "6.12 mm/migrate.c, move_to_new_folio: source and destination are locked",
        "6.12 mm/migrate_device.c, migrate_vma_setup: destination pages must be locked",
    ],
    kernels: "all; the tracepoints of entries since 6.1",
    needs: &[
        Need::required(Kind::MigrationEntrySet, "the folio's lock when an entry is set"),
        Need::in_place_of(
            Kind::MigrationEntrySet,
            Kind::TryToMigrate,
            "the lock during the walk that sets them",
        ),
        Need::required(Kind::RemoveMigrationPte, "the locks when entries are removed"),
        Need::where_possible(Kind::MigrateVmaSetup, "the locks of pages collected for a device"),
        Need::optional(Kind::MigrationEntryRemoved, "the lock of the newly mapped page, if recorded"),
    ],
    exceptions: &[
        "Any task may hold the lock: PG_locked has no owner.",
        "The entry of a tail page is judged by the head of its folio, which holds the lock for all pages.",
        "A visit that removes entries may find none in that VMA; the locks are still held.",
        "Entries that fork copies, mremap moves or munmap drops are not reported individually.",
    ],
    example: "migration_entry_set: a migration entry for an unlocked folio was set; pfn=0x12345 \
              flags=uptodate|lru|swapbacked entry=migration_write(pfn=0x12345)",
    idle: "nothing was migrated",
};

pub fn make(facts: &Facts) -> Box<dyn Rule> {
    if facts.has(Kind::MigrationEntrySet) { stateless(judge) } else { stateless(judge_walks_too) }
}

fn judge_walks_too(event: &Event, context: &mut RuleContext<'_>) {
    if let Body::TryToMigrate(walk) = &event.body {
        page(event, walk.flags, "migration entries were set for an unlocked folio", context);
    }
    judge(event, context);
}

fn judge(event: &Event, context: &mut RuleContext<'_>) {
    match &event.body {
        Body::MigrationEntrySet(entry) => {
            page(event, entry.flags, "a migration entry for an unlocked folio was set", context);
        }
        // Where its page is not told, the visit that removed it tells the locks.
        Body::MigrationEntryRemoved(entry) if entry.flags != UNKNOWN => {
            page(event, entry.flags, "a migration entry became an unlocked page", context);
        }
        Body::RemoveMigrationPte(removed) => {
            let facts = context.stream.facts;
            match (facts.is_locked(removed.old_flags), facts.is_locked(removed.new_flags)) {
                (Some(false), _) => {
                    context.violated(event, "migration entries of an unlocked folio were removed");
                }
                (_, Some(false)) => {
                    context.violated(event, "migration entries became pages of an unlocked folio");
                }
                (Some(true), Some(true)) => context.held(),
                _ => context.unreadable("the folio's flags"),
            }
        }
        Body::MigrateVmaSetup(setup) => match setup.unlocked {
            UNCOUNTED | 0 if setup.collected == 0 => {}
            UNCOUNTED => context.unreadable("the locks of the pages that migrate_vma_setup collected"),
            0 => context.held(),
            count => {
                let pfn = context.stream.facts.decoder.pfn(setup.unlocked_page);
                let pages = if count == 1 { "page was" } else { "pages were" };
                let what = format!("{count} {pages} collected for a device without the lock");
                if let Some(evidence) = context.violated(event, what) {
                    evidence.pfn = pfn;
                    evidence.address = Some(setup.start);
                }
            }
        },
        _ => {}
    }
}

fn page(event: &Event, flags: u64, what: &'static str, context: &mut RuleContext<'_>) {
    match context.stream.facts.is_locked(flags) {
        Some(true) => context.held(),
        Some(false) => {
            context.violated(event, what);
        }
        None => context.unreadable("the folio's flags"),
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::event::{
        Body, Kind, MigrateVmaSetup, MigrationEntry, RemoveMigrationPte, UNCOUNTED, UNKNOWN,
    };

    use super::INFO;
    use crate::check::Outcome;
    use crate::check::testing::*;

    fn entry(flags: u64) -> MigrationEntry {
        MigrationEntry { address: ADDRESS, entry: 0, page: PAGE, flags, order: 0, reserved: 0 }
    }

    fn removed(old_flags: u64, new_flags: u64) -> Body {
        let (old_page, new_page) = (PAGE, PAGE + 64);
        let (mm, address) = (MM, ADDRESS);
        Body::RemoveMigrationPte(RemoveMigrationPte {
            mm,
            address,
            old_page,
            old_flags,
            new_page,
            new_flags,
            duration: 0,
        })
    }

    fn setup(collected: u64, unlocked: u32) -> Body {
        Body::MigrateVmaSetup(MigrateVmaSetup {
            mm: MM,
            start: ADDRESS,
            end: ADDRESS + 0x4000,
            npages: 4,
            collected,
            result: 0,
            unlocked,
            unlocked_page: if unlocked == 1 { PAGE } else { 0 },
            duration: 0,
        })
    }

    #[test]
    fn locked_folios_pass() {
        let entries = [Body::MigrationEntrySet(entry(FLAGS)), Body::MigrationEntryRemoved(entry(FLAGS))];
        passes(INFO.name, 2, entries);
        passes(INFO.name, 2, [removed(FLAGS, FLAGS), setup(3, 0)]);
        is_idle(INFO.name, [setup(0, 0), setup(0, UNCOUNTED), Body::TryToMigrate(walk(FLAGS, 0))]);
        is_idle(INFO.name, [Body::MigrationEntryRemoved(entry(UNKNOWN))]);
    }

    #[test]
    fn unlocked_folios_do_not() {
        let verdict = violates(INFO.name, "was set", [Body::MigrationEntrySet(entry(UNLOCKED))]);
        assert_eq!((verdict.evidence[0].pfn, verdict.evidence[0].address), (Some(PFN), Some(ADDRESS)));
        assert_eq!(verdict.evidence[0].actor.comm, "hmm-tests");
        violates(INFO.name, "removed", [removed(UNLOCKED, FLAGS)]);
        violates(INFO.name, "became pages", [removed(FLAGS, UNLOCKED)]);
        violates(INFO.name, "became an unlocked page", [Body::MigrationEntryRemoved(entry(UNLOCKED))]);
        assert_eq!(violates(INFO.name, "1 page was", [setup(3, 1)]).evidence[0].pfn, Some(PFN));
    }

    #[test]
    fn what_is_not_seen_is_open() {
        let unread = Session::new().event(Body::MigrationEntrySet(entry(UNKNOWN)));
        is_open(INFO.name, "flags could not be read, once", &unread);
        is_open(INFO.name, "migrate_vma_setup", &Session::new().event(setup(1, UNCOUNTED)));
        let hidden = Session::new().event(removed(FLAGS, FLAGS)).without(Kind::RemoveMigrationPte);
        is_open(INFO.name, "remove_migration_pte is not watched", &hidden);
    }

    #[test]
    fn the_walk_stands_in_for_the_tracepoint() {
        let old = Session::new().without(Kind::MigrationEntrySet);
        let held = old.clone().event(Body::TryToMigrate(walk(FLAGS, 0))).rule(INFO.name);
        assert_eq!(counts(&held), (Outcome::Pass, 1, 0));
        assert!(held.notes[0].contains("try_to_migrate is used instead"), "{:?}", held.notes);
        let neither = old.without(Kind::TryToMigrate).event(removed(FLAGS, FLAGS));
        is_open(INFO.name, "migration_entry_set is not watched", &neither);
    }
}
