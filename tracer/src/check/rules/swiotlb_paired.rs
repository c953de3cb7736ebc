//! Every unmap of a bounce buffer matches one mapping.

use rustc_hash::FxHashMap;
use tracer_common::event::{
    Body, Kind, MAPPING_ERROR, SwiotlbMapSingle, SwiotlbPages, SwiotlbSlotKept, SwiotlbUnmapSingle, UNKNOWN,
};

use super::Rule;
use crate::check::Severity;
use crate::check::facts::Facts;
use crate::check::findings::RuleContext;
use crate::check::info::{Need, RuleInfo};
use crate::event::Event;

pub const INFO: RuleInfo = RuleInfo {
    name: "swiotlb-paired",
    title: "each unmap of a bounce buffer matches one live mapping in device, size and direction, and frees its slots",
    severity: Severity::Corruption,
    statement: "A driver must unmap with the values that it mapped with; swiotlb does not compare them. An unmap in \
                another direction copies nothing or the wrong way, a second unmap frees slots that belong to another \
                mapping by then, and slots that are not freed fill the pool. Checked: each unmap against the mapping \
                at that address; the slot's own record at the unmap (free: already unmapped); and slots that are still \
                in use after their unmap and never allocated again.",
    citations: &[
        "6.12 Documentation/core-api/dma-api.rst, dma_unmap_single: parameters must be identical to those passed in",
        "6.12 kernel/dma/swiotlb.c, swiotlb_release_slots: orig_addr = INVALID_PHYS_ADDR",
    ],
    kernels: "5.15 on, with CONFIG_SWIOTLB",
    needs: &[
        Need::required(Kind::SwiotlbMapSingle, "mappings"),
        Need::required(Kind::SwiotlbUnmapSingle, "their ends"),
        Need::required(Kind::SwiotlbMap, "mappings that the kernel undoes itself"),
        Need::optional(Kind::SwiotlbSlotKept, "slots that were not given back"),
        Need::optional(Kind::SwiotlbAlloc, "slots that were allocated as coherent memory"),
    ],
    exceptions: &[
        "Mappings made before the session are unknown; their unmap is judged only by the slot's record.",
        "Attributes may differ: the DMA API adds DMA_ATTR_SKIP_CPU_SYNC after syncing.",
        "swiotlb_map gives slots back without an unmap when the device cannot reach them.",
        "A slot that is in use after its unmap was usually taken by another CPU immediately.",
        "Where the kernel does not count the kprobe programs that it skips (before 6.7), a missing event may cause a \
         contradiction between two others. There, slots that were unchanged when their unmap returned are a violation \
         only from the second one on: explaining two would take a coincidence and two skipped programs.",
        "Mappings that outlive the traced command are only noted, because drivers keep rings of them.",
    ],
    example: "swiotlb_unmap_single: size 4096 instead of 8192; device=0000:00:04.0 bounce=0x7c000800 \
              direction=DMA_TO_DEVICE; before: mapped",
    idle: "no bounce buffer that was mapped in this session was unmapped",
};

/// How long another CPU may take from taking a slot to telling of it, nanoseconds.
const TELLING_TIME: u64 = 1_000_000_000;

/// So many slots that hold what they held, and of which nothing is heard again, that programs which the kernel
/// skips without a count do not explain it. For one slot to be innocent another CPU must take it for the same memory
/// before the unmap returns, and both that mapping and its end must be skipped.
const MANY_KEPT: usize = 2;

/// Most slots under suspicion.
const MOST_KEPT: usize = 1 << 12;

/// Devices that the note on live mappings names.
const MOST_NAMED: usize = 8;

pub fn make(_: &Facts) -> Box<dyn Rule> {
    Box::<Paired>::default()
}

/// Slots that were in use after their unmap, by physical address.
#[derive(Default)]
struct Paired {
    kept: FxHashMap<u64, Event>,
}

impl Rule for Paired {
    #[inline]
    fn event(&mut self, event: &Event, context: &mut RuleContext<'_>) {
        match &event.body {
            Body::SwiotlbMapSingle(map) => self.mapped(map),
            Body::SwiotlbUnmapSingle(unmap) => {
                if !self.kept.is_empty() {
                    self.kept.remove(&unmap.bounce);
                }
                unmapped(event, unmap, context);
            }
            Body::SwiotlbSlotKept(kept) => self.suspect(event, kept, context),
            Body::SwiotlbAlloc(pages) => self.allocated(pages, context),
            _ => {}
        }
    }

    fn lost(&mut self) {
        self.kept.clear();
    }

    fn finish(&mut self, end: u64, context: &mut RuleContext<'_>) {
        let mut kept: Vec<Event> = std::mem::take(&mut self.kept).into_values().collect();
        kept.sort_by_key(|event| (event.header.time, event.header.cpu));
        let is_old = |event: &&Event| end.saturating_sub(event.header.time) >= TELLING_TIME;
        let old = kept.iter().filter(is_old).count();
        for event in kept.iter().filter(is_old) {
            let what = "unmapped, but its slots were never freed";
            if old < MANY_KEPT {
                context.unanswered(event, what, end);
            } else {
                context.unanswered_surely(event, what, end);
            }
        }
        let young = kept.len() - old;
        if young > 0 {
            context.findings.notes.push(format!(
                "{young} slots were in use after their unmap in the last second; the new owner may not have been \
                 recorded yet"
            ));
        }
        note_live(context);
    }
}

impl Paired {
    #[inline]
    fn mapped(&mut self, map: &SwiotlbMapSingle) {
        if !self.kept.is_empty() && map.bounce != MAPPING_ERROR {
            self.handed_out(map.bounce, map.size);
        }
    }

    fn allocated(&mut self, pages: &SwiotlbPages, context: &RuleContext<'_>) {
        if !self.kept.is_empty()
            && let Some(pfn) = context.stream.facts.decoder.pfn(pages.page)
        {
            self.handed_out(pfn.saturating_mul(context.stream.facts.page_size), pages.size);
        }
    }

    /// Slots are of 2 KiB (6.12 include/linux/swiotlb.h, IO_TLB_SHIFT).
    fn handed_out(&mut self, address: u64, size: u64) {
        let slots = (address >> 11)..=(address.saturating_add(size.max(1) - 1) >> 11);
        self.kept.retain(|bounce, _| !slots.contains(&(bounce >> 11)));
    }

    fn suspect(&mut self, event: &Event, kept: &SwiotlbSlotKept, context: &RuleContext<'_>) {
        let mappings = &context.stream.state.swiotlb;
        // The unmap that this event belongs to must be the last that is known of the slot.
        let is_last = mappings.unmapped_by(kept.bounce).is_some_and(|unmap| unmap.tid == event.header.tid);
        if is_last && !mappings.overlaps(kept.bounce, 1) && self.kept.len() < MOST_KEPT {
            self.kept.insert(kept.bounce, *event);
        }
    }
}

#[inline]
fn unmapped(event: &Event, unmap: &SwiotlbUnmapSingle, context: &mut RuleContext<'_>) {
    let mappings = &context.stream.state.swiotlb;
    let mapping = mappings.at(unmap.bounce);
    if let Some(mapping) = mapping
        && unmap.slot_original != u64::MAX
        && mapping.device == unmap.device
        && mapping.size == unmap.size
        && mapping.direction == unmap.direction
    {
        return context.held();
    }
    if let Some(mapping) = mapping.copied() {
        let stream = context.stream;
        let what = if unmap.slot_original == u64::MAX {
            "its slot is free: it was already released".to_owned()
        } else if mapping.device != unmap.device {
            format!("unmapped for another device than {}", stream.device(mapping.device))
        } else if mapping.size != unmap.size {
            format!("size {} instead of {}", unmap.size, mapping.size)
        } else {
            format!("direction {} instead of {}", direction(unmap.direction), direction(mapping.direction))
        };
        context.contradicted(event, what, &mapping.made, "mapped");
    } else if unmap.slot_original == u64::MAX {
        let before = mappings.unmapped_by(unmap.bounce).copied();
        let stream = context.stream;
        if let Some(evidence) = context.violated(event, "its slot is free: unmapped twice, or never mapped")
            && let Some(before) = before
        {
            evidence.before.push(stream.earlier(&before, "unmapped"));
        }
    } else if let Some(before) = mappings.unmapped_by(unmap.bounce).copied() {
        context.contradicted(event, "unmapped twice, and not mapped in between", &before, "unmapped");
    } else if unmap.slot_original != UNKNOWN {
        context.held();
    }
}

fn direction(number: u32) -> &'static str {
    match number {
        0 => "DMA_BIDIRECTIONAL",
        1 => "DMA_TO_DEVICE",
        2 => "DMA_FROM_DEVICE",
        _ => "DMA_NONE",
    }
}

/// Names what outlived the traced command.
fn note_live(context: &mut RuleContext<'_>) {
    let stream = context.stream;
    let unfollowed = stream.state.swiotlb.unfollowed();
    if unfollowed > 0 {
        context.findings.notes.push(format!(
            "{unfollowed} mappings exceeded the limit of 262144 and were not \
                                             followed"
        ));
    }
    if !stream.facts.has_command {
        return;
    }
    let mut devices: FxHashMap<u64, (u64, u64)> = FxHashMap::default();
    for (_, mapping) in stream.state.swiotlb.live() {
        let (count, bytes) = devices.entry(mapping.device).or_default();
        *count += 1;
        *bytes = bytes.saturating_add(mapping.size);
    }
    let mut devices: Vec<_> =
        devices.into_iter().map(|(device, (count, bytes))| (count, bytes, stream.device(device))).collect();
    devices.sort_by(|a, b| (b.0, b.1, &a.2).cmp(&(a.0, a.1, &b.2)));
    for (count, bytes, device) in devices.iter().take(MOST_NAMED) {
        context
            .findings
            .notes
            .push(format!("{count} mappings of {device} ({bytes} bytes) outlived the command"));
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::event::{
        Body, Kind, MAPPING_ERROR, SwiotlbMap, SwiotlbMapSingle, SwiotlbSlotKept, SwiotlbUnmapSingle, UNKNOWN,
    };

    use super::INFO;
    use crate::check::Outcome;
    use crate::check::testing::*;
    use crate::probe::{AttachMethod, Outcome as PointOutcome};
    use tracer_common::family::Family;

    const SECOND: u64 = 1_000_000_000;

    fn mapped(offset: u64) -> [Body; 2] {
        [Body::SwiotlbMapSingle(map(offset)), Body::SwiotlbMap(answer(offset))]
    }

    fn unmapped(offset: u64) -> Body {
        Body::SwiotlbUnmapSingle(unmap(offset))
    }

    fn kept(offset: u64) -> Body {
        Body::SwiotlbSlotKept(SwiotlbSlotKept {
            device: DEVICE,
            pool: POOL,
            bounce: POOL_START + offset,
            slot_original: 1,
            slot_size: 4096,
        })
    }

    #[test]
    fn matching_unmaps_pass() {
        let session =
            Session::new().events(mapped(0)).event(unmapped(0)).events(mapped(0)).event(unmapped(0));
        assert_eq!(counts(&session.rule(INFO.name)), (Outcome::Pass, 2, 0));
        is_idle(INFO.name, mapped(0));
    }

    #[test]
    fn mappings_from_before_the_session_are_judged_by_their_slot() {
        passes(INFO.name, 1, [unmapped(0)]);
        let unread = SwiotlbUnmapSingle { slot_original: UNKNOWN, ..unmap(0) };
        is_idle(INFO.name, [Body::SwiotlbUnmapSingle(unread)]);
        let free = SwiotlbUnmapSingle { slot_original: u64::MAX, ..unmap(0) };
        violates(INFO.name, "slot is free", [Body::SwiotlbUnmapSingle(free)]);
    }

    #[test]
    fn what_does_not_match() {
        for (change, what) in [
            (SwiotlbUnmapSingle { size: 512, ..unmap(0) }, "size 512 instead of 4096"),
            (SwiotlbUnmapSingle { direction: 2, ..unmap(0) }, "DMA_FROM_DEVICE instead of DMA_TO_DEVICE"),
            (SwiotlbUnmapSingle { device: DEVICE + 8, ..unmap(0) }, "another device"),
            (SwiotlbUnmapSingle { slot_original: u64::MAX, ..unmap(0) }, "slot is free"),
        ] {
            let [single, answered] = mapped(0);
            let verdict = violates(INFO.name, what, [single, answered, Body::SwiotlbUnmapSingle(change)]);
            assert_eq!(verdict.evidence[0].before[0].what, "mapped");
        }
    }

    #[test]
    fn unmapped_twice() {
        let [single, answered] = mapped(0);
        violates(INFO.name, "not mapped in between", [single, answered, unmapped(0), unmapped(0)]);
    }

    #[test]
    fn the_kernel_takes_a_mapping_back_itself() {
        let failed = SwiotlbMap { dma_address: MAPPING_ERROR, ..answer(0) };
        let session = Session::new().event(Body::SwiotlbMapSingle(map(0))).event(Body::SwiotlbMap(failed));
        // The same slot for somebody else, in another size.
        let other = SwiotlbMapSingle { size: 512, ..map(0) };
        let session = session.event(Body::SwiotlbMapSingle(other));
        let session = session.event(Body::SwiotlbUnmapSingle(SwiotlbUnmapSingle { size: 512, ..unmap(0) }));
        assert_eq!(counts(&session.rule(INFO.name)), (Outcome::Pass, 1, 0));
    }

    #[test]
    fn slots_that_are_never_given_back() {
        let leaked = Session::new().events(mapped(0)).events([unmapped(0), kept(0)]);
        let verdict = leaked.clone().pause(2 * SECOND).rule(INFO.name);
        assert_eq!((verdict.outcome, verdict.violations), (Outcome::Violated, 1));
        assert_eq!(verdict.evidence[0].event, "swiotlb_slot_kept");
        let young = leaked.clone().rule(INFO.name);
        assert_eq!((young.outcome, young.notes.len()), (Outcome::Pass, 1), "{young:?}");
        // Handed out to another CPU, told a moment later or earlier.
        let later = leaked.tid(9).events(mapped(0)).pause(2 * SECOND).rule(INFO.name);
        assert_eq!(later.outcome, Outcome::Pass);
        let earlier = Session::new().events(mapped(0)).event(unmapped(0)).tid(9).events(mapped(0));
        let earlier = earlier.tid(812).event(kept(0)).pause(2 * SECOND);
        assert_eq!(earlier.rule(INFO.name).outcome, Outcome::Pass);
        let gone =
            Session::new().events(mapped(0)).event(unmapped(0)).tid(9).events(mapped(0)).event(unmapped(0));
        let gone = gone.tid(812).event(kept(0)).pause(2 * SECOND);
        assert_eq!(gone.rule(INFO.name).outcome, Outcome::Pass);
    }

    /// Through kprobes before 6.7: which programs were skipped is not known.
    fn uncounted() -> Session {
        let by_kprobe =
            PointOutcome::Attached { symbol: "swiotlb_tbl_map_single".into(), method: AttachMethod::Kprobe };
        let session = Session::new().header(|header| header.kernel.counts_skipped_kprobes = false);
        session.point(Kind::SwiotlbMapSingle, by_kprobe)
    }

    #[test]
    fn several_kept_slots_need_no_count_of_what_was_skipped() {
        let leak = |session: Session, offset: u64| {
            session.events(mapped(offset)).events([unmapped(offset), kept(offset)])
        };
        let one = leak(uncounted(), 0).pause(2 * SECOND);
        is_open(INFO.name, "1 contradictions", &one);
        let two = leak(leak(uncounted(), 0), 0x2000).pause(2 * SECOND);
        assert_eq!(counts(&two.rule(INFO.name)), (Outcome::Violated, 4, 2));
        is_open(INFO.name, "1 swiotlb events were missed", &two.clone().missed(Family::Swiotlb));
        // Contradictions between two events do not hold.
        let twice = uncounted().events(mapped(0)).events([unmapped(0), unmapped(0)]);
        is_open(INFO.name, "1 contradictions", &twice);
    }

    #[test]
    fn losses_make_no_violations() {
        let lost = Session::new().events(mapped(0)).loss(Some(Family::Swiotlb));
        let other = SwiotlbUnmapSingle { size: 512, ..unmap(0) };
        is_open(INFO.name, "swiotlb events were lost", &lost.clone().event(Body::SwiotlbUnmapSingle(other)));
        let twice = Session::new().events(mapped(0)).events([unmapped(0), unmapped(0)]);
        is_open(INFO.name, "1 contradictions", &twice.clone().missed(Family::Swiotlb));
        is_open(INFO.name, "1 contradictions", &twice.missed(Family::Swiotlb).cut());
        let leaked = Session::new().events(mapped(0)).events([unmapped(0), kept(0)]).pause(2 * SECOND);
        is_open(INFO.name, "1 swiotlb events were missed", &leaked.missed(Family::Swiotlb));
    }

    #[test]
    fn what_outlives_the_command_is_named() {
        let session = Session::new().events(mapped(0)).events(mapped(0x1000)).event(unmapped(0));
        let session = session.header(|header| header.traced_command = Some(vec!["dd".to_owned()]));
        let verdict = session.rule(INFO.name);
        assert_eq!(verdict.outcome, Outcome::Pass);
        assert_eq!(verdict.notes, [format!("1 mappings of {DEVICE:#x} (4096 bytes) outlived the command")]);
    }
}
