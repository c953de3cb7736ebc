//! A restore keeps what the exclusive entry remembered.

use tracer_common::event::{Body, Kind, RestoreExclusive};

use super::{Rule, stateless};
use crate::check::Severity;
use crate::check::facts::{ExclusiveEntry, Facts, VM_WRITE};
use crate::check::info::{Need, RuleInfo};
use crate::check::ledger::Bench;
use crate::event::{EntryState, Event};
use crate::kernel::PresentEntryFormat;

pub const INFO: RuleInfo = RuleInfo {
    name: "restore-keeps-bits",
    title: "a restore keeps soft-dirty and uffd-wp, and makes writable only what was",
    severity: Severity::Corruption,
    statement: "The exclusive entry carries the bits that user space relies on: soft-dirty (checkpoint and migration \
                tools would miss a change), uffd-wp (a userfaultfd handler would miss a write) and, to 6.14, whether \
                the page was writable at all. The present entry that follows must have the same page, soft-dirty and \
                uffd-wp where they were, and be writable only where the entry was, the VMA allows it, and uffd-wp is \
                not set. Looked at: the raw entry before and after restore_exclusive_pte.",
    citations: &[
        "6.12 mm/memory.c, restore_exclusive_pte: pte_mksoft_dirty, pte_mkuffd_wp, maybe_mkwrite",
        "6.12 include/linux/mm.h, maybe_mkwrite: only with VM_WRITE",
    ],
    kernels: "5.14 on, with CONFIG_DEVICE_PRIVATE, on x86-64",
    needs: &[Need::required(Kind::RestoreExclusive, "the entry before and after")],
    exceptions: &[
        "Soft-dirty may appear: making an entry dirty sets it on x86.",
        "Since 6.15 exclusive entries have one type, which does not tell whether the page was writable.",
        "A restore that left no present entry is judged by exclusive-ends-once alone when nothing was exclusive.",
    ],
    example: "restore_exclusive: soft-dirty was lost; address=0x7f1234567000 pfn=0x12345 \
              old_entry=device_exclusive_write(pfn=0x12345,soft_dirty) new_entry=present",
    idle: "no device-exclusive page was restored",
};

pub fn make(_: &Facts) -> Box<dyn Rule> {
    stateless(judge)
}

fn judge(event: &Event, bench: &mut Bench<'_>) {
    let Body::RestoreExclusive(restore) = &event.body else { return };
    let facts = bench.scene.facts;
    let Some(format) = facts.present else {
        return bench.unreadable("the bits of present entries, which are not known on this architecture,");
    };
    let (Some(old), Some(new)) = (facts.exclusive_entry(restore.old_entry), facts.entry(restore.new_entry))
    else {
        return bench.unreadable("the entry before or after the restore");
    };
    // What was no exclusive entry has no bits to keep; exclusive-ends-once speaks of it.
    let Ok(old) = old else { return };
    let page = facts.decoder.pfn(restore.page);
    let what = match new.state {
        EntryState::Present { pfn: mapped } if mapped.is_some() && page.is_some() && mapped != page => {
            Some("another page is mapped after the restore")
        }
        EntryState::Present { .. } => changed(&old, restore, format, facts.has_read_type),
        _ => Some("no page is mapped after the restore"),
    };
    match what {
        Some(what) => {
            bench.violated(event, what);
        }
        None => bench.held(),
    }
}

/// What the restore did not keep.
fn changed(
    old: &ExclusiveEntry,
    restore: &RestoreExclusive,
    format: PresentEntryFormat,
    has_read_type: bool,
) -> Option<&'static str> {
    let new = restore.new_entry;
    let is = |mask: u64| new & mask != 0;
    let is_writable = is(format.writable_mask);
    if old.soft_dirty && format.soft_dirty_mask != 0 && !is(format.soft_dirty_mask) {
        Some("soft-dirty was lost")
    } else if old.uffd_wp && format.uffd_wp_mask != 0 && !is(format.uffd_wp_mask) {
        Some("uffd-wp was lost")
    } else if is_writable && has_read_type && !old.is_writable {
        Some("a read-only entry became writable")
    } else if is_writable && restore.vm_flags & VM_WRITE == 0 {
        Some("the entry became writable in a VMA that is not")
    } else if is_writable && old.uffd_wp {
        Some("an entry with uffd-wp became writable")
    } else {
        None
    }
}
