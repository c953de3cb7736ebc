//! A page restored into a locked VMA is mlocked again.

use tracer_common::event::{Body, Kind, UNCOUNTED, UNKNOWN};

use super::{Rule, stateless};
use crate::check::Severity;
use crate::check::facts::{Facts, Maker, VM_LOCKED, VM_SPECIAL};
use crate::check::findings::RuleContext;
use crate::check::info::{Need, RuleInfo};
use crate::event::Event;

pub const INFO: RuleInfo = RuleInfo {
    name: "restore-remlocks",
    title: "a page that is restored into a VM_LOCKED VMA is mlocked again",
    severity: Severity::Broken,
    statement: "Up to 6.14, making a page exclusive removes its mapping and, with the last mapping, its mlock. The \
                restore maps it again and must mlock it again; otherwise memory locked by mlock(2) may be swapped out. \
                Checked: the calls of mlock_folio (mlock_vma_page up to 5.17) inside restore_exclusive_pte; if these \
                are not watched, PG_mlocked when it returns.",
    citations: &[
        "6.12 mm/rmap.c, folio_add_anon_rmap_pte and mm/internal.h, mlock_vma_folio",
        "5.15 mm/memory.c, restore_exclusive_pte: if (vma->vm_flags & VM_LOCKED) mlock_vma_page(page)",
    ],
    kernels: "5.14 to 6.14, with CONFIG_DEVICE_PRIVATE; later kernels keep the mapping and the mlock",
    needs: &[
        Need::required(Kind::RestoreExclusive, "the VMA and the calls inside"),
        Need::counted(Kind::MlockFolio, "calls of mlock_folio, to be counted"),
    ],
    exceptions: &[
        "VMAs with VM_IO, VM_PFNMAP, VM_MIXEDMAP or VM_DONTEXPAND are never mlocked; mlock(2) itself sets VM_IO for a \
         moment.",
        "Large folios are mlocked only if they lie entirely within the VMA.",
        "PG_mlocked may be left over from before, and a clear flag is only a hint: where calls are not counted, a \
         clear flag is not a violation.",
    ],
    example: "restore_exclusive: the page was not mlocked again; address=0x7f1234567000 pfn=0x12345 \
              vm_flags=VM_READ|VM_WRITE|VM_LOCKED mlocks=0",
    idle: "no device-exclusive page was restored into a locked VMA",
};

pub fn make(_: &Facts) -> Box<dyn Rule> {
    stateless(judge)
}

fn judge(event: &Event, context: &mut RuleContext<'_>) {
    let Body::RestoreExclusive(restore) = &event.body else { return };
    let facts = context.stream.facts;
    // Since 6.15 the mapping was never removed, and mlock_count may legally undercount (6.12 mm/mlock.c,
    // __munlock_folio): nothing can be said.
    if facts.maker == Some(Maker::Single) {
        return;
    }
    if restore.vm_flags == UNKNOWN {
        return context.unreadable("the flags of the VMA");
    }
    if restore.vm_flags & (VM_LOCKED | VM_SPECIAL) != VM_LOCKED {
        return;
    }
    match facts.knows_head(restore.flags) {
        Some(false) => {}
        Some(true) => return,
        None => return context.unreadable("the page's flags"),
    }
    match (restore.mlocks, facts.is_mlocked(restore.flags)) {
        (UNCOUNTED, Some(true)) => context.held(),
        (UNCOUNTED, _) => context.unreadable("the calls of mlock_folio inside the restore"),
        (0, _) => {
            context.violated(event, "the page was not mlocked again");
        }
        _ => context.held(),
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::event::{Body, RestoreExclusive, UNCOUNTED};

    use super::INFO;
    use crate::check::Outcome;
    use crate::check::testing::*;

    fn restored(vm_flags: u64, flags: u64, mlocks: u32) -> Body {
        Body::RestoreExclusive(RestoreExclusive { vm_flags: VM_FLAGS | vm_flags, flags, mlocks, ..restore() })
    }

    #[test]
    fn counted_calls_decide() {
        passes(INFO.name, 1, [restored(VM_LOCKED, FLAGS | MLOCKED, 1)]);
        violates(INFO.name, "not mlocked again", [restored(VM_LOCKED, FLAGS | MLOCKED, 0)]);
    }

    #[test]
    fn other_vmas_and_large_folios_are_no_evaluation() {
        let special = [0x4000, 0x4_0000, 0x400, 0x1000_0000].map(|bit| restored(VM_LOCKED | bit, FLAGS, 0));
        is_idle(INFO.name, special);
        is_idle(INFO.name, [restored(0, FLAGS, 0), restored(VM_LOCKED, FLAGS | HEAD, 0)]);
        let later = Session::new().single().event(restored(VM_LOCKED, FLAGS, 0)).rule(INFO.name);
        assert_eq!(later.outcome, Outcome::NotExercised);
    }

    #[test]
    fn without_counts_the_flag_is_a_hint() {
        passes(INFO.name, 1, [restored(VM_LOCKED, FLAGS | MLOCKED, UNCOUNTED)]);
        let session = Session::new().event(restored(VM_LOCKED, FLAGS, UNCOUNTED));
        is_open(INFO.name, "mlock_folio", &session);
    }
}
