//! What happens where a kernel lacks a field that the programs read: for each field, on the newest kernel.

use std::path::Path;

use rmapscope::kernel::{Btf, Symbols, resolve_layout};
use rmapscope::probe::{KnownKernel, Outcome, Plan, Request, catalogue};
use tracer_common::event::Kind;
use tracer_common::globals::{Layout, OFFSET_ABSENT};
use tracer_common::point::Point;

/// What comes of a missing field.
enum Without {
    /// These points are off, and say which field they lack: every rule that needs their events is inconclusive.
    Off(&'static [Point]),
    /// A value of the records is unknown; the rules that need it say so.
    Unknown(&'static str),
    /// Nothing is missing: kernels are known that have no such field, for that reason.
    Known(&'static str),
}
use Without::{Known, Off, Unknown};

const FOLIO_POINTS: &[Point] = &[
    Point::MakeDeviceExclusive,
    Point::RestoreExclusivePte,
    Point::TryToUnmap,
    Point::TryToMigrate,
    Point::TryToUnmapOne,
    Point::TryToMigrateOne,
    Point::RemoveMigrationPte,
    Point::MoveToNewFolio,
    Point::MlockFolio,
    Point::MunlockFolio,
];

const VMA_POINTS: &[Point] = &[
    Point::RestoreExclusivePte,
    Point::DoSwapPage,
    Point::UnmapPageRange,
    Point::MovePageTables,
    Point::TryToUnmapOne,
    Point::TryToMigrateOne,
    Point::RemoveMigrationPte,
    Point::MigrateVmaSetup,
    Point::MlockFixup,
    Point::CopyPageRange,
    Point::MigrateVmaPages,
    Point::MigrateVmaFinalize,
    Point::LruAddDrain,
    Point::FolioPutbackLru,
    Point::RemoveMigrationPtes,
];

const FLAGS_POINTS: &[Point] = &[
    Point::RestoreExclusivePte,
    Point::TryToUnmapOne,
    Point::TryToMigrateOne,
    Point::MlockFixup,
    Point::CopyPageRange,
];

const DMA_POINTS: &[Point] = &[Point::DmaMapPage, Point::DmaDirectMapSg];

const MIGRATIONS: &[Point] = &[
    Point::MigrateVmaSetup,
    Point::MigrateVmaPages,
    Point::MigrateVmaFinalize,
    Point::LruAddDrain,
    Point::FolioPutbackLru,
    Point::RemoveMigrationPtes,
];

const SKIPPED: &str = "hits of kprobes that the kernel skipped, before 6.7";

const PUT_BACK: &str = "the address of a page that migrate_vma_setup puts back";

const TABLE: &[(&str, Without)] = &[
    ("page_flags", Off(FOLIO_POINTS)),
    ("page_mapcount", Unknown("mapcount; exclusive-returned-locked: the page's mappings")),
    ("page_refcount", Unknown("refcount; exclusive-returned-locked: the page's references")),
    ("page_mapping", Off(&[Point::MakeDeviceExclusive])),
    (
        "page_compound_head",
        Unknown("flags, mapping and counts of pages that may be tails: their rules say so"),
    ),
    ("folio_large_mapcount", Unknown("mapcount of large folios, as before 6.10")),
    ("folio_index", Unknown(PUT_BACK)),
    ("page_size", Off(&[Point::DmaDirectMapSg])),
    ("vma_start", Off(&[Point::CopyPageRange])),
    ("vma_end", Off(&[Point::CopyPageRange])),
    ("vma_mm", Off(VMA_POINTS)),
    ("vma_pgoff", Unknown(PUT_BACK)),
    ("vma_flags", Off(FLAGS_POINTS)),
    ("mm_pgd", Unknown("the entries in page tables: the points say what they do not tell")),
    ("zap_skip_cows", Off(&[Point::UnmapPageRange])),
    ("zap_even_cows", Known("7.1 has skip_cows")),
    ("zap_check_mapping", Known("5.18 has even_cows")),
    ("move_vma", Off(&[Point::MovePageTables])),
    ("move_old_address", Off(&[Point::MovePageTables])),
    ("move_new_address", Off(&[Point::MovePageTables])),
    ("fault_vma", Off(&[Point::DoSwapPage])),
    ("fault_address", Off(&[Point::DoSwapPage])),
    ("fault_flags", Off(&[Point::DoSwapPage])),
    ("fault_entry", Off(&[Point::DoSwapPage])),
    ("task_pid", Off(&[Point::ProcessFork, Point::ProcessExit, Point::ProcessRename])),
    ("task_tgid", Off(&[Point::ProcessFork, Point::ProcessExit, Point::ProcessRename])),
    ("task_comm", Off(&[Point::ProcessFork, Point::ProcessExec])),
    ("task_exit_code", Off(&[Point::ProcessExit])),
    ("task_files", Unknown(SKIPPED)),
    ("files_table", Unknown(SKIPPED)),
    ("table_files", Unknown(SKIPPED)),
    ("file_private", Unknown(SKIPPED)),
    ("link_file", Unknown(SKIPPED)),
    ("event_call", Unknown(SKIPPED)),
    ("trace_event_call", Unknown(SKIPPED)),
    ("trace_event_probes", Unknown(SKIPPED)),
    ("trace_probe_list", Unknown(SKIPPED)),
    ("trace_kprobe_probe", Unknown(SKIPPED)),
    ("trace_kprobe_skipped", Unknown(SKIPPED)),
    ("trace_kprobe_no_instance", Unknown(SKIPPED)),
    ("migrate_vma_vma", Off(MIGRATIONS)),
    ("migrate_vma_start", Off(MIGRATIONS)),
    ("migrate_vma_end", Off(MIGRATIONS)),
    ("migrate_vma_npages", Off(MIGRATIONS)),
    ("migrate_vma_cpages", Off(MIGRATIONS)),
    (
        "migrate_vma_src",
        Unknown("unlocked; migration-entry-locked: the locks of the pages; migrated, filled"),
    ),
    ("migrate_vma_dst", Unknown("migrated, filled")),
    ("migrate_vma_flags", Unknown("source")),
    ("migrate_vma_owner", Unknown("owner")),
    ("migrate_vma_fault_page", Unknown("fault_pfn")),
    ("range_notifier", Off(&[Point::HmmRangeFault])),
    ("range_start", Off(&[Point::HmmRangeFault])),
    ("range_end", Off(&[Point::HmmRangeFault])),
    ("range_flags", Off(&[Point::HmmRangeFault])),
    ("range_owner", Unknown("owner")),
    ("interval_mm", Off(&[Point::HmmRangeFault, Point::MmuIntervalNotifierRemove])),
    ("interval_start", Off(&[Point::MmuIntervalNotifierRemove])),
    ("interval_last", Off(&[Point::MmuIntervalNotifierRemove])),
    ("device_name", Unknown("no device_name event; devices are shown by their address")),
    ("device_init_name", Unknown("the name that a device has before it is registered")),
    ("device_io_tlb_mem", Off(DMA_POINTS)),
    ("device_dma_ops", Known("no CONFIG_ARCH_HAS_DMA_OPS, as in a minimal kernel")),
    ("device_iommu_group", Off(DMA_POINTS)),
    ("pool_start", Unknown("pool_start, what the slot held; swiotlb-in-pool: the bounds")),
    ("pool_end", Unknown("pool_end; swiotlb-in-pool: the bounds")),
    ("pool_slots", Unknown("what the slot held, where no pool is handed over")),
    ("pool_force_bounce", Off(DMA_POINTS)),
    ("pool_for_alloc", Unknown("pool_flags; swiotlb-restricted-bounces: whether every mapping bounces")),
    ("pool_dynamic", Known("no CONFIG_SWIOTLB_DYNAMIC")),
    ("pool_default", Off(&[Point::SwiotlbTblUnmapSingle])),
    ("pool_used", Known("6.0 has areas")),
    ("pool_areas", Unknown("used_slots")),
    ("pool_area_count", Unknown("used_slots")),
    ("area_size", Unknown("used_slots")),
    ("area_used", Unknown("used_slots")),
    ("argument_pool_start", Unknown("what the slot held")),
    ("argument_pool_slots", Unknown("what the slot held")),
    ("slot_size", Unknown("what the slot held")),
    ("slot_original", Unknown("what the slot held")),
    ("slot_alloc_size", Unknown("the slot's size")),
    ("sg_page", Off(&[Point::DmaDirectMapSg])),
    ("sg_offset", Off(&[Point::DmaDirectMapSg])),
    ("sg_length", Off(&[Point::DmaDirectMapSg])),
    ("sg_dma_address", Off(&[Point::DmaDirectMapSg])),
    ("sg_dma_flags", Known("no CONFIG_NEED_SG_DMA_FLAGS: no bus addresses in lists")),
    ("sg_size", Off(&[Point::DmaDirectMapSg])),
];

/// The functions of the kernel that the catalogue knows, and those that say what can be attached, which the pruned BTF
/// does not have.
fn symbols(btf: &Btf) -> Symbols {
    let abilities = ["register_ftrace_direct", "arch_prepare_bpf_trampoline", "create_local_trace_kprobe"];
    let candidates = catalogue::entries().flat_map(|entry| entry.candidates);
    let functions = candidates.map(|candidate| candidate.symbol).filter(|name| btf.function(name).is_some());
    let text: String =
        functions.chain(abilities).map(|name| format!("ffffffff81000000 T {name}\n")).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kallsyms");
    std::fs::write(&file, text).unwrap();
    Symbols::load(&file).unwrap()
}

/// The points that a plan for Debian's 7.3 leaves off because of fields, and what they say.
fn left_off(btf: &Btf, symbols: &Symbols, layout: &Layout) -> Vec<(Point, Vec<String>)> {
    let request = Request { kinds: Kind::ALL.iter().copied().collect(), ..Request::default() };
    let plan = Plan::make(&KnownKernel::described(btf, layout, Some(symbols)), &request);
    let missing = plan.points.iter().filter_map(|planned| match &planned.report.outcome {
        Outcome::Unresolved { missing } => Some((planned.point, missing.clone())),
        _ => None,
    });
    missing.collect()
}

#[test]
fn each_field_of_the_newest_kernel_is_missed_by_name() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/btf/linux-7.3.4-debian-amd64.btf");
    let btf = Btf::load(&file).unwrap();
    let symbols = symbols(&btf);
    let (whole, _) = resolve_layout(&btf);
    assert_eq!(left_off(&btf, &symbols, &whole), [], "with every field");
    let rows: Vec<&str> = TABLE.iter().map(|(field, _)| *field).collect();
    let fields: Vec<&str> = Layout::PATHS.iter().map(|(field, _)| *field).collect();
    assert_eq!(rows, fields, "each field has its row");
    for (field, without) in TABLE {
        let mut layout = whole;
        assert!(layout.set(field, OFFSET_ABSENT));
        let (_, path) = Layout::PATHS.iter().find(|(name, _)| name == field).unwrap();
        let off = left_off(&btf, &symbols, &layout);
        let points: Vec<Point> = off.iter().map(|(point, _)| *point).collect();
        match without {
            Off(expected) => {
                assert_eq!(points, *expected, "without {field}");
                for (point, missing) in off {
                    assert!(missing.iter().any(|name| name.contains(path)), "{point:?} says {missing:?}");
                }
            }
            Unknown(what) | Known(what) => assert_eq!(points, [], "without {field}: {what}"),
        }
    }
}
