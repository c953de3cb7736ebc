//! Plans for real kernels, from their BTF (tests/fixtures/btf/README.md).

use std::path::Path;

use rmapscope::kernel::{Btf, Symbols, resolve_layout};
use rmapscope::probe::{AttachMethod, KnownKernel, Outcome, Plan, Preference, Request};
use tracer_common::event::Kind;
use tracer_common::globals::Globals;
use tracer_common::point::{ARGUMENT_ABSENT, BEHIND, Point};

const DEBIAN_6_1: &str = "linux-6.1.0-debian-amd64.btf";
const DEBIAN_6_12: &str = "linux-6.12.117-debian-amd64.btf";
const TEST_HMM: &str = "linux-6.12-test-hmm.btf";
const DEBIAN_6_18: &str = "linux-6.18.15-debian-amd64.btf";
const DEBIAN_7_3: &str = "linux-7.3.4-debian-amd64.btf";

/// Functions that say what a kernel can attach; the pruned BTF does not have them.
const ABILITIES: [&str; 3] =
    ["register_ftrace_direct", "arch_prepare_bpf_trampoline", "create_local_trace_kprobe"];

/// Every function that the catalogue knows.
fn candidates() -> impl Iterator<Item = &'static str> {
    rmapscope::probe::catalogue::entries()
        .flat_map(|entry| entry.candidates)
        .filter(|candidate| candidate.tracepoint().is_none())
        .map(|candidate| candidate.symbol)
}

fn plan(name: &str, attach: Preference) -> Plan {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/btf").join(name);
    let btf = Btf::load(&file).unwrap();
    let (layout, _) = resolve_layout(&btf);
    // The symbols of these kernels are those that BTF has, and nothing of the name twice.
    let functions = candidates().filter(|name| btf.function(name).is_some()).chain(ABILITIES);
    let text: String = functions.map(|name| format!("ffffffff81000000 T {name}\n")).collect();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("kallsyms"), text).unwrap();
    let symbols = Symbols::load(&folder.path().join("kallsyms")).unwrap();
    let request = Request { kinds: Kind::ALL.iter().copied().collect(), attach, ..Request::default() };
    Plan::make(&KnownKernel::described(&btf, &layout, Some(&symbols)), &request)
}

/// What each point hangs on.
fn symbol(plan: &Plan, point: Point) -> Option<&str> {
    plan.point(point).candidate.as_ref().map(|chosen| chosen.symbol.as_str())
}

#[test]
fn every_function_of_real_kernels_is_understood() {
    for name in [DEBIAN_6_1, DEBIAN_6_12, TEST_HMM, DEBIAN_6_18, DEBIAN_7_3] {
        for attach in [Preference::Auto, Preference::Kprobe] {
            for planned in &plan(name, attach).points {
                let outcome = &planned.report.outcome;
                let is_gap = matches!(outcome, Outcome::Absent { .. } | Outcome::Inlined { .. });
                assert!(is_gap || outcome.is_attached(), "{name}, {:?}: {outcome:?}", planned.point);
                let unfamiliar = planned.candidate.as_ref().and_then(|chosen| chosen.unfamiliar.as_ref());
                assert_eq!(unfamiliar, None, "{name}, {:?}", planned.point);
            }
        }
    }
}

#[test]
fn points_of_each_kernel() {
    let absent = |plan: &Plan| -> Vec<Point> {
        plan.points
            .iter()
            .filter(|planned| planned.candidate.is_none())
            .map(|planned| planned.point)
            .collect()
    };
    let everywhere = [Point::PageMlock, Point::PageMlockOne, Point::CopyPteRange];
    let restricted = [Point::SwiotlbAlloc, Point::SwiotlbFree];
    let newer = [Point::MigrateDevicePfns];
    let exclusive = [
        Point::MakeDeviceExclusiveRange,
        Point::MakeDeviceExclusive,
        Point::PageMakeDeviceExclusiveOne,
        Point::RestoreExclusivePte,
        Point::DoSwapPage,
        Point::UnmapPageRange,
        Point::MovePageTables,
        Point::ExitMmap,
    ];
    for name in [DEBIAN_6_1, DEBIAN_6_12] {
        let expected: Vec<Point> =
            exclusive.iter().chain(&everywhere).chain(&restricted).chain(&newer).copied().collect();
        assert_eq!(absent(&plan(name, Preference::Auto)), expected, "{name}");
    }
    let hmm = plan(TEST_HMM, Preference::Auto);
    let expected: Vec<Point> = [Point::MakeDeviceExclusive]
        .iter()
        .chain(&everywhere)
        .chain(&restricted)
        .chain(&newer)
        .copied()
        .collect();
    assert_eq!(absent(&hmm), expected);
    assert_eq!(symbol(&hmm, Point::MunlockFolio), Some("munlock_folio"));
    assert_eq!(symbol(&hmm, Point::SwiotlbTblUnmapSingle), Some("__swiotlb_tbl_unmap_single"));
    let old = plan(DEBIAN_6_1, Preference::Auto);
    assert_eq!(symbol(&old, Point::MunlockFolio), Some("munlock_page"));
    assert_eq!(symbol(&old, Point::SwiotlbTblUnmapSingle), Some("swiotlb_tbl_unmap_single"));
}

#[test]
fn what_became_of_functions_since_6_12() {
    let new = plan(DEBIAN_7_3, Preference::Auto);
    let expected: Vec<Point> = [Point::MakeDeviceExclusiveRange, Point::PageMakeDeviceExclusiveOne]
        .into_iter()
        .chain([Point::PageMlock, Point::PageMlockOne, Point::CopyPteRange])
        .chain([Point::SwiotlbAlloc, Point::SwiotlbFree])
        .collect();
    for name in [DEBIAN_6_18, DEBIAN_7_3] {
        let plan = plan(name, Preference::Auto);
        let absent = plan.points.iter().filter(|planned| planned.candidate.is_none());
        assert_eq!(absent.map(|planned| planned.point).collect::<Vec<_>>(), expected, "{name}");
        assert_eq!(symbol(&plan, Point::DmaMapPage), Some("dma_map_phys"), "{name}");
        assert_eq!(symbol(&plan, Point::SetMigrationPmd), Some("thp:set_migration_pmd"), "{name}");
    }
    assert_eq!(symbol(&new, Point::UnmapPageRange), Some("__zap_vma_range"));
    let mut globals = Globals::EMPTY;
    new.write_arguments(&mut globals);
    let arguments = |point: Point| &globals.arguments[point as usize];
    assert_eq!(arguments(Point::UnmapPageRange)[..4], [1, 2, 3, 4]);
    assert_eq!(arguments(Point::MovePageTables)[..3], [BEHIND; 3]);
    assert_eq!(arguments(Point::MlockFixup)[..4], [1, 3, 4, 5 | BEHIND]);
    assert_eq!(arguments(Point::SwiotlbTblMapSingle)[..6], [0, 1, 2, ARGUMENT_ABSENT, 4, 5 | BEHIND]);
}

#[test]
fn seven_arguments_go_by_kprobe_on_6_1() {
    let old = plan(DEBIAN_6_1, Preference::Auto);
    let chosen = old.point(Point::SwiotlbTblMapSingle).candidate.as_ref().unwrap();
    assert_eq!((chosen.method, chosen.entry, chosen.exit), (AttachMethod::Kprobe, true, true));
    let mut globals = Globals::EMPTY;
    old.write_arguments(&mut globals);
    assert_eq!(globals.arguments[Point::SwiotlbTblMapSingle as usize][..6], [0, 1, 2, 3, 5, ARGUMENT_ABSENT]);
    assert_eq!(globals.arguments[Point::MigratePages as usize][..4], [0, 1, 5, 6]);
    assert_eq!(globals.arguments[Point::MlockFixup as usize][..4], [0, 2, 3, 4]);
}

#[test]
fn positions_of_6_12() {
    let mut globals = Globals::EMPTY;
    plan(TEST_HMM, Preference::Auto).write_arguments(&mut globals);
    let arguments = |point: Point| &globals.arguments[point as usize];
    assert_eq!(arguments(Point::SwiotlbTblMapSingle)[..6], [0, 1, 2, ARGUMENT_ABSENT, 4, 5]);
    assert_eq!(arguments(Point::MigratePages)[..4], [0, 1, 6, 7]);
    assert_eq!(arguments(Point::MlockFixup)[..4], [1, 3, 4, 5]);
    assert_eq!(arguments(Point::MakeDeviceExclusiveRange)[..5], [0, 1, 2, 3, 4]);
    assert_eq!(arguments(Point::RestoreExclusivePte)[..4], [0, 1, 2, 3]);
    assert_eq!(arguments(Point::RestoreExclusivePte)[4], ARGUMENT_ABSENT);
    assert_eq!(globals.arity[Point::CopyPageRange as usize], 2);
}
