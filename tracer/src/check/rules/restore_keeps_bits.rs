//! A restore keeps what the exclusive entry remembered.

use tracer_common::event::{Body, Kind, RestoreExclusive, UNKNOWN};

use super::{Rule, stateless};
use crate::check::Severity;
use crate::check::facts::{ExclusiveEntry, Facts, VM_WRITE};
use crate::check::findings::RuleContext;
use crate::check::info::{Need, RuleInfo};
use crate::event::{EntryState, Event};
use crate::kernel::PresentEntryFormat;

pub const INFO: RuleInfo = RuleInfo {
    name: "restore-keeps-bits",
    title: "a restore keeps soft-dirty and uffd-wp, and makes writable only what was writable",
    severity: Severity::Corruption,
    statement: "The exclusive entry carries bits that user space relies on: soft-dirty (checkpoint and migration tools \
                would miss a change), uffd-wp (a userfaultfd handler would miss a write) and, up to 6.14, whether the \
                page was writable. The present entry that replaces it must have the same page, keep soft-dirty and \
                uffd-wp, and be writable only if the entry was, the VMA allows it, and uffd-wp is not set. Checked: \
                the raw entry before and after restore_exclusive_pte.",
    citations: &[
        "6.12 mm/memory.c, restore_exclusive_pte: pte_mksoft_dirty, pte_mkuffd_wp, maybe_mkwrite",
        "6.12 include/linux/mm.h, maybe_mkwrite: only with VM_WRITE",
        "7.3 mm/memory.c, restore_exclusive_pte (6.15 on): writable only with VM_WRITE and can_change_pte_writable; \
         PAGE_NONE with VM_UFFD_RWP",
    ],
    kernels: "5.14 on, with CONFIG_DEVICE_PRIVATE, on x86-64",
    needs: &[Need::required(Kind::RestoreExclusive, "the entry before and after")],
    exceptions: &[
        "Soft-dirty may appear: making an entry dirty sets it on x86.",
        "Since 6.15 exclusive entries have one type, which does not say whether the page was writable; a restored \
         entry need not be writable.",
        "An entry without access (PROT_NONE, used by 7.3 for userfaultfd read protection) counts as present.",
        "If the old entry was not exclusive, a restore that left no present entry is judged only by \
         exclusive-ends-once.",
    ],
    example: "restore_exclusive: soft-dirty was lost; address=0x7f1234567000 pfn=0x12345 \
              old_entry=device_exclusive_write(pfn=0x12345,soft_dirty) new_entry=present",
    idle: "no device-exclusive page was restored",
};

pub fn make(_: &Facts) -> Box<dyn Rule> {
    stateless(judge)
}

fn judge(event: &Event, context: &mut RuleContext<'_>) {
    let Body::RestoreExclusive(restore) = &event.body else { return };
    let facts = context.stream.facts;
    let Some(format) = facts.present else {
        return context.unreadable("the bits of present entries (those of this architecture are not known)");
    };
    let (Some(old), Some(new)) = (facts.exclusive_entry(restore.old_entry), facts.entry(restore.new_entry))
    else {
        return context.unreadable("the entry before or after the restore");
    };
    if restore.vm_flags == UNKNOWN {
        return context.unreadable("the flags of the VMA");
    }
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
            context.violated(event, what);
        }
        None => context.held(),
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
        Some("the entry became writable in a VMA that is not writable")
    } else if is_writable && old.uffd_wp {
        Some("an entry with uffd-wp became writable")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::event::{Body, Kind, RestoreExclusive, UNKNOWN};

    use super::INFO;
    use crate::check::Outcome;
    use crate::check::testing::*;
    use crate::kernel::SwapKind;

    fn restored(old_bits: u64, writable: bool, new_bits: u64) -> Body {
        Body::RestoreExclusive(RestoreExclusive {
            old_entry: exclusive_entry(PFN, writable) | old_bits,
            new_entry: present_entry(PFN) | new_bits,
            ..restore()
        })
    }

    #[test]
    fn kept_bits_pass() {
        for (old, writable, new) in [
            (0, true, PRESENT_WRITABLE),
            (0, true, 0),
            (0, false, 0),
            (SOFT_DIRTY, true, PRESENT_WRITABLE | PRESENT_SOFT_DIRTY),
            (0, true, PRESENT_WRITABLE | PRESENT_SOFT_DIRTY),
            (UFFD_WP | SOFT_DIRTY, true, PRESENT_UFFD_WP | PRESENT_SOFT_DIRTY),
        ] {
            passes(INFO.name, 1, [restored(old, writable, new)]);
        }
    }

    #[test]
    fn lost_and_gained_bits_do_not() {
        violates(INFO.name, "soft-dirty was lost", [restored(SOFT_DIRTY, true, PRESENT_WRITABLE)]);
        violates(INFO.name, "uffd-wp was lost", [restored(UFFD_WP, true, 0)]);
        violates(INFO.name, "read-only", [restored(0, false, PRESENT_WRITABLE)]);
        let wp = PRESENT_WRITABLE | PRESENT_UFFD_WP;
        violates(INFO.name, "with uffd-wp", [restored(UFFD_WP, true, wp)]);
        let read_only = RestoreExclusive { vm_flags: 1, ..restore() };
        violates(INFO.name, "VMA that is not", [Body::RestoreExclusive(read_only)]);
        let other = RestoreExclusive { new_entry: present_entry(PFN + 1), ..restore() };
        violates(INFO.name, "another page", [Body::RestoreExclusive(other)]);
        let none = RestoreExclusive { new_entry: 0, ..restore() };
        violates(INFO.name, "no page", [Body::RestoreExclusive(none)]);
    }

    #[test]
    fn one_type_does_not_tell_what_was_writable() {
        let session = Session::new().header(|header| {
            header.kernel.swap_types.retain(|entry| entry.kind != SwapKind::DeviceExclusiveRead);
        });
        assert_eq!(session.event(restored(0, true, PRESENT_WRITABLE)).rule(INFO.name).outcome, Outcome::Pass);
    }

    #[test]
    fn what_is_not_seen_is_open() {
        let unread = RestoreExclusive { new_entry: UNKNOWN, ..restore() };
        let session = Session::new().event(Body::RestoreExclusive(unread));
        is_open(INFO.name, "before or after", &session);
        let elsewhere = Session::new().event(restored(0, true, 0)).header(|header| {
            if let Some(format) = &mut header.kernel.entry_format {
                format.present = None;
            }
        });
        is_open(INFO.name, "this architecture", &elsewhere);
        is_open(INFO.name, "not watched", &Session::new().without(Kind::RestoreExclusive));
    }
}
