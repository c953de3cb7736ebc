use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;
use tracer_common::event::Kind;
use tracer_common::point::ARGUMENT_ABSENT;

use super::*;
use crate::event::EventName;
use crate::kernel::{Btf, RUNNING_KERNEL_BTF, Switch, resolve_layout};
use crate::probe::testing::TestKernel;
use crate::probe::{AttachMethod, KnownKernel, Preference, select};

fn everything() -> Request {
    Request { kinds: Kind::ALL.iter().copied().collect(), ..Request::default() }
}

fn plan(kernel: &TestKernel) -> Plan {
    Plan::make(kernel, &everything())
}

fn outcome(plan: &Plan, point: Point) -> &Outcome {
    &plan.point(point).report.outcome
}

/// Symbol and way of each point that is attached.
fn through(plan: &Plan, point: Point) -> Option<(&str, AttachMethod)> {
    plan.point(point).candidate.as_ref().map(|chosen| (chosen.symbol.as_str(), chosen.method))
}

fn is_attached(plan: &Plan, point: Point, symbol: &str, method: AttachMethod) -> bool {
    *outcome(plan, point) == Outcome::Attached { symbol: symbol.to_owned(), method }
}

fn programs(plan: &Plan, point: Point) -> Vec<String> {
    plan.programs().filter(|(of, _)| *of == point).map(|(_, program)| program.name).collect()
}

use AttachMethod::{Fentry, Kprobe, RawTracepoint, Tracepoint};

#[test]
fn v5_15_has_page_mlock_and_the_older_names() {
    let plan = plan(&TestKernel::v5_15());
    assert!(is_attached(&plan, Point::PageMlock, "page_mlock", Fentry));
    assert!(is_attached(&plan, Point::MlockFolio, "mlock_vma_page", Fentry));
    assert_eq!(through(&plan, Point::MunlockFolio), Some(("munlock_vma_page", Fentry)));
    assert!(matches!(outcome(&plan, Point::MunlockFolio),
        Outcome::Fallback { lost, .. } if lost.contains("__munlock_pagevec")));
    // No bpf_get_func_arg before 5.17, and seven arguments are too many for its trampolines.
    assert_eq!(
        through(&plan, Point::MakeDeviceExclusiveRange),
        Some(("make_device_exclusive_range", Kprobe))
    );
    assert_eq!(through(&plan, Point::SwiotlbTblMapSingle), Some(("swiotlb_tbl_map_single", Kprobe)));
    assert!(matches!(outcome(&plan, Point::SwiotlbTblMapSingle),
        Outcome::Fallback { lost, .. } if lost.contains("attrs")));
    assert!(
        matches!(outcome(&plan, Point::SetMigrationPte), Outcome::Absent { reason, .. } if reason.contains("5.15"))
    );
    assert!(is_attached(&plan, Point::SwiotlbAlloc, "swiotlb_alloc", Fentry));
    assert!(is_attached(&plan, Point::SwiotlbTblUnmapSingle, "swiotlb_tbl_unmap_single", Fentry));
    assert!(is_attached(&plan, Point::RestoreExclusivePte, "restore_exclusive_pte", Fentry));
}

#[test]
fn v6_1_lacks_what_is_not_configured() {
    let plan = plan(&TestKernel::v6_1());
    for point in [Point::MakeDeviceExclusiveRange, Point::MakeDeviceExclusive, Point::RestoreExclusivePte] {
        assert_eq!(
            *outcome(&plan, point),
            Outcome::Absent {
                reason: "CONFIG_DEVICE_PRIVATE is not set in this kernel".to_owned(),
                impossible: true
            }
        );
    }
    // The function is there, but it cannot meet an exclusive entry.
    assert!(matches!(outcome(&plan, Point::DoSwapPage), Outcome::Absent { .. }));
    assert!(matches!(outcome(&plan, Point::SwiotlbFree),
        Outcome::Absent { reason, .. } if reason.contains("CONFIG_DMA_RESTRICTED_POOL")));
    assert!(matches!(outcome(&plan, Point::PageMlock),
        Outcome::Absent { reason, .. } if reason.contains("mlock_folio and munlock_folio")));
    assert!(is_attached(&plan, Point::MunlockFolio, "munlock_page", Fentry));
    assert!(is_attached(&plan, Point::SetMigrationPte, "migrate:set_migration_pte", Tracepoint));
    assert!(matches!(outcome(&plan, Point::CopyPteRange),
        Outcome::Inlined { reason } if reason.contains("inside copy_page_range")));
    let attempts = &plan.point(Point::MunlockFolio).report.attempts;
    assert_eq!(attempts[0].symbol, "munlock_folio");
}

#[test]
fn v6_12_has_the_newer_names() {
    let plan = plan(&TestKernel::v6_12());
    assert!(is_attached(&plan, Point::MunlockFolio, "munlock_folio", Fentry));
    assert!(is_attached(&plan, Point::SwiotlbTblMapSingle, "swiotlb_tbl_map_single", Fentry));
    assert!(is_attached(&plan, Point::SwiotlbTblUnmapSingle, "__swiotlb_tbl_unmap_single", Fentry));
    assert!(is_attached(&plan, Point::SwiotlbSyncSingleForCpu, "__swiotlb_sync_single_for_cpu", Fentry));
    let mut globals = Globals::EMPTY;
    plan.write_arguments(&mut globals);
    assert_eq!(globals.arguments[Point::SwiotlbTblMapSingle as usize][..6], [0, 1, 2, ARGUMENT_ABSENT, 4, 5]);
    assert_eq!(globals.arity[Point::SwiotlbTblMapSingle as usize], 6);
    assert_eq!(globals.arguments[Point::MigratePages as usize][..4], [0, 1, 6, 7]);
    assert_eq!(globals.arguments[Point::MlockFixup as usize][..4], [1, 3, 4, 5]);
}

#[test]
fn exclusive_family_of_6_12_and_of_6_15() {
    let old = plan(&TestKernel::v6_12_hmm());
    assert!(is_attached(&old, Point::MakeDeviceExclusiveRange, "make_device_exclusive_range", Fentry));
    assert!(is_attached(&old, Point::DoSwapPage, "do_swap_page", Fentry));
    assert!(is_attached(&old, Point::PageMakeDeviceExclusiveOne, "page_make_device_exclusive_one", Fentry));
    assert!(
        matches!(outcome(&old, Point::MakeDeviceExclusive), Outcome::Absent { reason, .. } if reason.contains("6.15"))
    );
    let new = plan(&TestKernel::v6_15());
    assert!(is_attached(&new, Point::MakeDeviceExclusive, "make_device_exclusive", Fentry));
    assert!(matches!(outcome(&new, Point::MakeDeviceExclusiveRange), Outcome::Absent { .. }));
    assert!(matches!(outcome(&new, Point::PageMakeDeviceExclusiveOne), Outcome::Absent { .. }));
    let mut globals = Globals::EMPTY;
    new.write_arguments(&mut globals);
    assert_eq!(globals.arguments[Point::RestoreExclusivePte as usize][..6], [0, 2, 3, 4, 5, 1]);
}

#[test]
fn programs_follow_method_and_latency() {
    let kernel = TestKernel::v6_12_hmm();
    let plain = plan(&kernel);
    assert_eq!(programs(&plain, Point::TryToUnmap), ["fexit_try_to_unmap"]);
    assert_eq!(programs(&plain, Point::MlockFolio), ["fentry_mlock_folio"]);
    assert_eq!(
        programs(&plain, Point::RestoreExclusivePte),
        ["fexit_restore_exclusive_pte", "fentry_restore_exclusive_pte"]
    );
    assert_eq!(programs(&plain, Point::ProcessFork), ["tp_process_fork"]);
    let timed = Plan::make(&kernel, &Request { latency: true, ..everything() });
    assert_eq!(programs(&timed, Point::TryToUnmap), ["fexit_try_to_unmap", "fentry_try_to_unmap"]);
    assert_eq!(
        programs(&timed, Point::SwiotlbTblUnmapSingle),
        ["fexit_swiotlb_tbl_unmap_single", "fentry_swiotlb_tbl_unmap_single"]
    );
    let kinds = select(&[EventName::Event(Kind::SwiotlbUnmapSingle)], false);
    let entry_only = Plan::make(&kernel, &Request { kinds, ..Request::default() });
    assert_eq!(programs(&entry_only, Point::SwiotlbTblUnmapSingle), ["fentry_swiotlb_tbl_unmap_single"]);
    assert_eq!(programs(&timed, Point::ExitMmap), ["fexit_exit_mmap"], "its events have no time");
    let forced = Plan::make(&kernel, &Request { attach: Preference::Kprobe, ..everything() });
    assert_eq!(programs(&forced, Point::TryToUnmap), ["kretprobe_try_to_unmap", "kprobe_try_to_unmap"]);
    assert_eq!(programs(&forced, Point::ProcessFork), ["raw_tp_process_fork"]);
    assert!(is_attached(&forced, Point::TryToUnmap, "try_to_unmap", Kprobe));
    assert!(
        forced
            .points
            .iter()
            .all(|p| p.candidate.as_ref().is_none_or(|c| matches!(c.method, Kprobe | RawTracepoint)))
    );
    let target = forced.programs().find(|(_, program)| program.name == "raw_tp_migration_pte_removed");
    assert_eq!(target.unwrap().1.target, "remove_migration_pte");
}

#[test]
fn hidden_symbol_moves_to_the_fallback() {
    let mut kernel = TestKernel::v6_12();
    kernel.functions.remove("munlock_folio");
    kernel.functions.insert("munlock_page".to_owned(), crate::probe::testing::signature("struct page *page"));
    assert!(is_attached(&plan(&kernel), Point::MunlockFolio, "munlock_page", Fentry));
    kernel.functions.remove("munlock_page");
    assert!(matches!(outcome(&plan(&kernel), Point::MunlockFolio), Outcome::Absent { .. }));
    kernel.untraceable.insert("try_to_unmap".to_owned());
    assert_eq!(through(&plan(&kernel), Point::TryToUnmap), Some(("try_to_unmap", Kprobe)));
    kernel.blacklisted.insert("try_to_unmap".to_owned());
    assert!(matches!(outcome(&plan(&kernel), Point::TryToUnmap), Outcome::Denied { .. }));
    kernel.twice.insert("mlock_fixup".to_owned());
    assert!(
        matches!(outcome(&plan(&kernel), Point::MlockFixup), Outcome::Denied { reason } if reason.starts_with("2 "))
    );
}

#[test]
fn compilers_copies_serve_only_where_no_argument_is_used() {
    let mut kernel = TestKernel::v6_12();
    kernel.variants.insert("copy_pte_range".to_owned(), vec!["copy_pte_range.isra.0".to_owned()]);
    assert_eq!(through(&plan(&kernel), Point::CopyPteRange), Some(("copy_pte_range.isra.0", Kprobe)));
    assert_eq!(programs(&plan(&kernel), Point::CopyPteRange), ["kretprobe_copy_pte_range"]);
    kernel.variants.insert("copy_pte_range".to_owned(), vec!["copy_pte_range.part.0".to_owned()]);
    assert!(matches!(outcome(&plan(&kernel), Point::CopyPteRange), Outcome::Inlined { .. }));
    kernel.functions.remove("mlock_fixup");
    kernel.variants.insert("mlock_fixup".to_owned(), vec!["mlock_fixup.isra.0".to_owned()]);
    assert!(matches!(outcome(&plan(&kernel), Point::MlockFixup),
        Outcome::Inlined { reason } if reason.contains("mlock_fixup.isra.0")));
}

#[test]
fn lockdown_leaves_what_trampolines_can_read() {
    let kernel = TestKernel::v6_12_hmm();
    let locked = Plan::make(&kernel, &Request { probe_read: false, ..everything() });
    assert!(is_attached(&locked, Point::TryToUnmap, "try_to_unmap", Fentry));
    assert!(matches!(outcome(&locked, Point::MakeDeviceExclusiveRange),
        Outcome::Fallback { lost, method: Fentry, .. } if lost.contains("lockdown")));
    assert!(
        locked
            .points
            .iter()
            .all(|p| p.candidate.as_ref().is_none_or(|c| matches!(c.method, Fentry | Tracepoint)))
    );
    let request = Request { probe_read: false, attach: Preference::Kprobe, ..everything() };
    let forced = Plan::make(&kernel, &request);
    assert!(
        matches!(outcome(&forced, Point::TryToUnmap), Outcome::Denied { reason } if reason.contains("lockdown"))
    );
    assert_eq!(forced.programs().count(), 0);
}

#[test]
fn what_a_switch_silences_is_not_attached() {
    let kernel = TestKernel::v6_12();
    let off = |switch| Plan::make(&kernel, &Request { off: vec![switch], ..everything() });
    let ftrace = off(Switch::Ftrace);
    assert!(matches!(outcome(&ftrace, Point::TryToUnmap),
        Outcome::Denied { reason } if reason.contains("kernel.ftrace_enabled is 0")));
    assert_eq!(through(&ftrace, Point::SetMigrationPte).map(|(_, method)| method), Some(Tracepoint));
    let kprobes = off(Switch::Kprobes);
    assert!(is_attached(&kprobes, Point::TryToUnmap, "try_to_unmap", Fentry));
    assert!(kprobes.points.iter().all(|p| p.candidate.as_ref().is_none_or(|c| c.method != Kprobe)));
}

#[test]
fn missing_fields_and_arguments_are_named() {
    let mut kernel = TestKernel::v6_12();
    kernel.missing_fields.insert("vma_flags".to_owned());
    let broken = plan(&kernel);
    assert_eq!(
        *outcome(&broken, Point::CopyPageRange),
        Outcome::Unresolved { missing: vec!["vm_area_struct.vm_flags".to_owned()] }
    );
    assert!(is_attached(&broken, Point::TryToUnmap, "try_to_unmap", Fentry));
    kernel
        .functions
        .insert("try_to_unmap".to_owned(), crate::probe::testing::signature("struct folio *folio, int how"));
    assert_eq!(
        *outcome(&plan(&kernel), Point::TryToUnmap),
        Outcome::Unresolved { missing: vec!["argument flags".to_owned()] }
    );
}

#[test]
fn only_what_is_asked_for_and_what_it_needs() {
    let kernel = TestKernel::v6_12_hmm();
    let request =
        Request { kinds: select(&[EventName::Family(Family::Exclusive)], false), ..Request::default() };
    let plan = Plan::make(&kernel, &request);
    assert_eq!(*outcome(&plan, Point::TryToUnmap), Outcome::NotAsked);
    assert_eq!(*outcome(&plan, Point::PageMakeDeviceExclusiveOne), Outcome::NotAsked);
    assert!(is_attached(&plan, Point::ProcessExit, "sched:sched_process_exit", Tracepoint));
    assert!(is_attached(&plan, Point::CopyPageRange, "copy_page_range", Fentry));
    assert_eq!(plan.point(Point::CopyPageRange).serves, [Point::RestoreExclusivePte]);
    assert_eq!(*outcome(&plan, Point::CopyPteRange), Outcome::NotAsked);
    let nothing = Plan::make(&kernel, &Request { kinds: BTreeSet::new(), ..Request::default() });
    assert_eq!(nothing.programs().count(), 0);
}

#[test]
fn refusals_move_on_until_nothing_is_left() {
    let mut six = plan(&TestKernel::v6_12());
    assert_eq!(six.fall_back(Point::TryToUnmap, 22, "EINVAL"), FallBack::Next { reload: false });
    assert_eq!(through(&six, Point::TryToUnmap), Some(("try_to_unmap", Kprobe)));
    assert!(matches!(outcome(&six, Point::TryToUnmap), Outcome::Attached { method: Kprobe, .. }));
    assert_eq!(six.fall_back(Point::TryToUnmap, 1, "EPERM"), FallBack::Exhausted);
    assert_eq!(
        *outcome(&six, Point::TryToUnmap),
        Outcome::Refused { errno: 1, reason: "try_to_unmap: EPERM".to_owned() }
    );
    assert_eq!(six.point(Point::TryToUnmap).report.attempts.len(), 2);
    assert!(programs(&six, Point::TryToUnmap).is_empty());
    assert_eq!(six.fall_back(Point::TryToUnmap, 1, "EPERM"), FallBack::Exhausted);
    // Seven arguments: the last is out of a kprobe's reach, which the loaded object must be told.
    let mut kernel = TestKernel::v6_1();
    kernel.trampoline_arguments = 12;
    let mut seven = plan(&kernel);
    assert_eq!(through(&seven, Point::SwiotlbTblMapSingle), Some(("swiotlb_tbl_map_single", Fentry)));
    assert_eq!(seven.fall_back(Point::SwiotlbTblMapSingle, 22, "EINVAL"), FallBack::Next { reload: true });
}

#[test]
fn unfamiliar_signatures_are_noticed_but_used() {
    let mut kernel = TestKernel::v6_12();
    assert!(plan(&kernel).points.iter().all(|p| p.candidate.as_ref().is_none_or(|c| c.unfamiliar.is_none())));
    let changed = crate::probe::testing::signature("struct folio *folio, enum ttu_flags flags, int more");
    kernel.functions.insert("try_to_unmap".to_owned(), changed);
    let plan = plan(&kernel);
    let chosen = plan.point(Point::TryToUnmap).candidate.as_ref().unwrap();
    assert_eq!(chosen.unfamiliar.as_deref(), Some("struct folio * folio, enum ttu_flags flags, int more"));
}

/// The kernel under the tests, whose BTF anyone may read; it is never traced.
#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says why")]
fn plan_for_the_kernel_under_the_tests() {
    if !Path::new(RUNNING_KERNEL_BTF).exists() {
        eprintln!("skipped: this machine has no {RUNNING_KERNEL_BTF}");
        return;
    }
    let btf = Btf::load(Path::new(RUNNING_KERNEL_BTF)).unwrap();
    let (layout, _) = resolve_layout(&btf);
    let plan = Plan::make(&KnownKernel::described(&btf, &layout, None), &everything());
    for point in [Point::TryToUnmap, Point::TryToMigrate, Point::CopyPageRange, Point::ProcessFork] {
        let report = &plan.point(point).report;
        assert!(report.outcome.is_attached(), "{report:?}");
    }
    for planned in &plan.points {
        let outcome = &planned.report.outcome;
        assert!(
            !matches!(outcome, Outcome::Unresolved { .. } | Outcome::NotAsked),
            "{:?}: {outcome:?}",
            planned.point
        );
    }
}

proptest! {
    /// Whatever a kernel lacks, the plan neither panics nor contradicts itself.
    #[test]
    fn plans_are_consistent(
        which in 0..5_usize,
        seed in any::<u64>(),
        latency: bool, probe_read: bool, symbols_known: bool, traced: bool,
        attach in prop_oneof![Just(Preference::Auto), Just(Preference::Fentry), Just(Preference::Kprobe)],
        refusals in proptest::collection::vec(0..Point::COUNT, 0..40),
    ) {
        let mut kernel = TestKernel::all()[which].clone();
        kernel.symbols_known = symbols_known;
        kernel.no_trampolines = (!traced).then(|| "none".to_owned());
        let mut bits = seed;
        let mut drop = || { bits = bits.rotate_left(7).wrapping_mul(0x9e37_79b9_7f4a_7c15); bits % 5 == 0 };
        kernel.functions.retain(|_, _| !drop());
        kernel.tracepoints.retain(|_, _| !drop());
        let request = Request { latency, probe_read, attach, ..everything() };
        let mut plan = Plan::make(&kernel, &request);
        for refused in refusals {
            let before = plan.points[refused].candidate.clone();
            let answer = plan.fall_back(Point::ALL[refused], 22, "refused");
            prop_assert_eq!(matches!(answer, FallBack::Next { .. }), plan.points[refused].candidate.is_some());
            prop_assert!(before.is_none() || plan.points[refused].candidate != before);
        }
        let names: Vec<String> = plan.programs().map(|(_, program)| program.name).collect();
        prop_assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        for planned in &plan.points {
            prop_assert_eq!(planned.candidate.is_some(), planned.report.outcome.is_attached());
            if let Some(chosen) = &planned.candidate {
                prop_assert!(chosen.entry || chosen.exit);
                prop_assert!(!symbols_known || chosen.symbol.contains(':') || kernel.functions.contains_key(&chosen.symbol));
                prop_assert!(traced || chosen.method != Fentry);
                prop_assert!(probe_read || !matches!(chosen.method, Kprobe | RawTracepoint));
            }
        }
    }
}

/// A rule is not exercised where the kernel cannot do the thing, and inconclusive where it does it unseen.
#[test]
fn what_is_impossible_is_told_from_what_is_hidden() {
    let is_impossible = |kernel: &TestKernel, point| match outcome(&plan(kernel), point) {
        Outcome::Absent { impossible, .. } => *impossible,
        other => panic!("{point:?}: {other:?}"),
    };
    for point in
        [Point::RestoreExclusivePte, Point::UnmapPageRange, Point::MakeDeviceExclusive, Point::PageMlock]
    {
        assert!(is_impossible(&TestKernel::v6_12(), point), "{point:?}");
    }
    let hmm = TestKernel::v6_12_hmm();
    assert!(is_impossible(&hmm, Point::MakeDeviceExclusive));
    assert!(is_impossible(&TestKernel::v6_15(), Point::MakeDeviceExclusiveRange));
    for (symbol, point) in [
        ("make_device_exclusive_range", Point::MakeDeviceExclusiveRange),
        ("try_to_unmap", Point::TryToUnmap),
        ("exit_mmap", Point::ExitMmap),
        ("dma_direct_map_sg", Point::DmaDirectMapSg),
    ] {
        let mut hidden = hmm.clone();
        hidden.functions.remove(symbol);
        assert!(!is_impossible(&hidden, point), "{symbol}");
    }
}

#[test]
fn what_page_tables_would_tell_is_named_where_they_cannot_be_read() {
    let lost = |kernel: &TestKernel, point| match outcome(&plan(kernel), point) {
        Outcome::Fallback { lost, .. } => lost.clone(),
        _ => String::new(),
    };
    let hmm = TestKernel::v6_12_hmm();
    assert_eq!(lost(&hmm, Point::CopyPageRange), "");
    let arm = TestKernel { no_page_tables: Some("another architecture".to_owned()), ..hmm.clone() };
    assert!(lost(&arm, Point::CopyPageRange).contains("parent and child"));
    assert!(lost(&arm, Point::TryToUnmapOne).contains("before and after"));
    assert!(lost(&TestKernel::v5_15(), Point::CopyPageRange).contains("bpf_loop"));
    // Nothing can be exclusive there, so nothing is lost.
    let stock = TestKernel { no_page_tables: arm.no_page_tables, ..TestKernel::v6_12() };
    assert_eq!(lost(&stock, Point::CopyPageRange), "");
}

/// Where frames cannot be taken for pages, a mapping that did not bounce looks like one that did.
#[test]
fn what_tells_by_pages_alone_is_not_attached_where_they_cannot_be_found() {
    const WHY: &str = "neither vmemmap_base nor mem_section has a visible address";
    let hidden = |kernel: TestKernel| TestKernel { no_memory_map: Some(WHY.to_owned()), ..kernel };
    let check = |plan: &Plan, why: &str| {
        for point in [Point::DmaMapPage, Point::DmaDirectMapSg] {
            assert!(plan.point(point).candidate.is_none(), "{point:?}");
            let missing = vec![format!("the struct page of a page frame ({why})")];
            assert_eq!(*outcome(plan, point), Outcome::Unresolved { missing });
        }
        for point in [Point::SetMigrationPte, Point::MigrationPteRemoved, Point::MigrateVmaSetup] {
            let Outcome::Fallback { lost, .. } = outcome(plan, point) else { panic!("{point:?}") };
            assert!(lost.ends_with(&format!("({why})")), "{lost}");
        }
    };
    check(&plan(&hidden(TestKernel::v6_12_hmm())), WHY);
    // The kernel's memory shows it only when the session begins.
    let mut late = plan(&TestKernel::v6_12_hmm());
    assert!(outcome(&late, Point::DmaMapPage).is_attached());
    late.without_pages("no");
    check(&late, "no");
    // Since 6.18 the address itself is an argument; lists still have pages.
    let mut new = TestKernel::v6_15();
    let phys =
        "struct device *dev, phys_addr_t phys, size_t size, enum dma_data_direction dir, unsigned long attrs";
    new.functions.insert("dma_map_phys".to_owned(), crate::probe::testing::signature(phys));
    let plan = plan(&hidden(new));
    assert!(matches!(outcome(&plan, Point::DmaMapPage), Outcome::Attached { .. }));
    assert!(matches!(outcome(&plan, Point::DmaDirectMapSg), Outcome::Unresolved { .. }));
}

/// The programs must not take a point that is not attached for one that is never hit.
#[test]
fn programs_know_whether_mlocks_are_counted() {
    let mut plan = plan(&TestKernel::v6_12_hmm());
    let mut globals = Globals::EMPTY;
    plan.write_arguments(&mut globals);
    assert_eq!(globals.options.count_mlocks, 1);
    while plan.fall_back(Point::MlockFolio, 1, "no") != FallBack::Exhausted {}
    plan.write_arguments(&mut globals);
    assert_eq!(globals.options.count_mlocks, 0);
}
