//! Facts derived from the BTF of real kernels (tests/fixtures/btf/README.md).

use std::path::{Path, PathBuf};

use rmapscope::kernel::{Btf, Facts, FactsOptions, RUNNING_KERNEL_BTF, SystemFiles, resolve_layout};
use tracer_common::globals::{Layout, OFFSET_ABSENT};

const DEBIAN_6_1: &str = "linux-6.1.0-debian-amd64.btf";
const DEBIAN_6_12: &str = "linux-6.12.117-debian-amd64.btf";
const TEST_HMM: &str = "linux-6.12-test-hmm.btf";
const DEBIAN_6_18: &str = "linux-6.18.15-debian-amd64.btf";
const DEBIAN_7_3: &str = "linux-7.3.4-debian-amd64.btf";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/btf").join(name)
}

fn load(name: &str) -> Btf {
    Btf::load(&fixture(name)).unwrap()
}

/// Facts of a machine that has this BTF, this configuration and a few symbols.
fn facts(name: &str, configuration: Option<&str>) -> Facts {
    const SYMBOLS: &str = "ffffffff81000000 T _stext\nffffffff82000000 D vmemmap_base\n";
    facts_with(name, configuration, SYMBOLS)
}

/// The same with these symbols.
fn facts_with(name: &str, configuration: Option<&str>, symbols: &str) -> Facts {
    let root = tempfile::tempdir().unwrap();
    for folder in ["sys/kernel/btf", "proc/sys/kernel", "boot", "sys/devices/system/cpu"] {
        std::fs::create_dir_all(root.path().join(folder)).unwrap();
    }
    std::fs::copy(fixture(name), root.path().join("sys/kernel/btf/vmlinux")).unwrap();
    let write = |path: &str, text: &str| std::fs::write(root.path().join(path), text).unwrap();
    write("proc/sys/kernel/osrelease", "6.0-test\n");
    write("proc/kallsyms", symbols);
    write("sys/devices/system/cpu/possible", "0-7\n");
    if let Some(text) = configuration {
        write("boot/config-6.0-test", &format!("#\n{text}\n"));
    }
    Facts::of_system(&SystemFiles::below(root.path()), &FactsOptions::default()).unwrap()
}

#[test]
fn offsets_of_each_kernel() {
    // Name in the layout; Debian 6.1, Debian 6.12, 6.12 with test_hmm, Debian 6.18 and 7.3.
    const ABSENT: u32 = OFFSET_ABSENT;
    let expected = [
        ("page_flags", [0, 0, 0, 0, 0]),
        ("page_mapcount", [48, 48, 48, 48, 48]),
        ("page_refcount", [52, 52, 52, 52, 52]),
        ("page_mapping", [24, 24, 24, 24, 24]),
        ("page_compound_head", [8, 8, 8, 8, 8]),
        ("folio_large_mapcount", [ABSENT, 80, 80, 80, 80]),
        ("folio_index", [32, 32, 32, 32, 32]),
        ("page_size", [64, 64, 64, 64, 64]),
        ("vma_start", [0, 0, 0, 0, 0]),
        ("vma_end", [8, 8, 8, 8, 8]),
        ("vma_mm", [16, 16, 16, 16, 16]),
        ("vma_pgoff", [104, 120, 120, 80, 80]),
        ("vma_flags", [32, 32, 32, 32, 32]),
        ("mm_pgd", [72, 120, 104, 120, 120]),
        ("zap_skip_cows", [ABSENT, ABSENT, ABSENT, ABSENT, 8]),
        ("zap_even_cows", [8, 8, 8, 8, ABSENT]),
        ("zap_check_mapping", [ABSENT, ABSENT, ABSENT, ABSENT, ABSENT]),
        ("move_vma", [ABSENT, ABSENT, ABSENT, 0, 0]),
        ("move_old_address", [ABSENT, ABSENT, ABSENT, 16, 16]),
        ("move_new_address", [ABSENT, ABSENT, ABSENT, 32, 32]),
        ("fault_vma", [0, 0, 0, 0, 0]),
        ("fault_address", [24, 24, 24, 24, 24]),
        ("fault_flags", [40, 40, 40, 40, 40]),
        ("fault_entry", [64, 64, 64, 64, 64]),
        ("task_files", [3048, 3048, 1552, 3320, 3488]),
        ("files_table", [32, 32, 32, 32, 32]),
        ("table_files", [8, 8, 8, 8, 8]),
        ("file_private", [200, 32, 32, 24, 24]),
        ("link_file", [64, 64, 64, 80, 80]),
        ("event_call", [1000, 1040, 1040, 1056, 1048]),
        ("trace_event_call", [80, 80, 80, 80, 88]),
        ("trace_event_probes", [240, 216, 216, 216, 224]),
        ("trace_probe_list", [0, 0, 0, 0, 0]),
        ("trace_kprobe_probe", [208, 208, 208, 208, 208]),
        ("trace_kprobe_skipped", [56, 56, 56, 56, 56]),
        ("trace_kprobe_no_instance", [172, 172, 172, 172, 172]),
        ("migrate_vma_dst", [8, 8, 8, 8, 8]),
        ("migrate_vma_flags", [64, 64, 64, 64, 64]),
        ("migrate_vma_owner", [56, 56, 56, 56, 56]),
        ("migrate_vma_fault_page", [72, 72, 72, 72, 72]),
        ("range_notifier", [0, 0, 0, 0, 0]),
        ("range_start", [16, 16, 16, 16, 16]),
        ("range_end", [24, 24, 24, 24, 24]),
        ("range_flags", [40, 40, 40, 40, 40]),
        ("range_owner", [56, 56, 56, 56, 56]),
        ("interval_mm", [56, 56, 56, 56, 56]),
        ("interval_start", [24, 24, 24, 24, 24]),
        ("interval_last", [32, 32, 32, 32, 32]),
        ("device_name", [0, 0, 0, 0, 0]),
        ("device_init_name", [80, 80, 80, 80, 80]),
        ("device_io_tlb_mem", [632, 648, 360, 640, 672]),
        ("device_dma_ops", [568, 584, ABSENT, 576, 600]),
        ("device_iommu_group", [712, 728, 440, 720, 752]),
        ("pool_start", [0, 0, 0, 0, 0]),
        ("pool_end", [8, 8, 8, 8, 8]),
        ("pool_slots", [72, 56, 56, 56, 56]),
        ("pool_force_bounce", [49, 80, 80, 80, 80]),
        ("pool_for_alloc", [50, 81, 81, 81, 81]),
        ("pool_dynamic", [ABSENT, ABSENT, ABSENT, ABSENT, ABSENT]),
        ("pool_default", [ABSENT, 0, 0, 0, 0]),
        ("pool_used", [32, ABSENT, ABSENT, ABSENT, ABSENT]),
        ("pool_areas", [64, 48, 48, 48, 48]),
        ("pool_area_count", [52, 36, 36, 36, 36]),
        ("area_size", [16, 16, 16, 16, 16]),
        ("area_used", [0, 0, 0, 0, 0]),
        ("argument_pool_start", [ABSENT, 0, 0, 0, 0]),
        ("argument_pool_slots", [ABSENT, 56, 56, 56, 56]),
        ("slot_size", [24, 24, 24, 24, 24]),
        ("slot_original", [0, 0, 0, 0, 0]),
        ("slot_alloc_size", [8, 8, 8, 8, 8]),
        ("sg_page", [0, 0, 0, 0, 0]),
        ("sg_offset", [8, 8, 8, 8, 8]),
        ("sg_length", [12, 12, 12, 12, 12]),
        ("sg_dma_address", [16, 16, 16, 16, 16]),
        ("sg_dma_flags", [ABSENT, 28, ABSENT, 28, 28]),
        ("sg_size", [32, 32, 32, 32, 32]),
    ];
    for (column, name) in [DEBIAN_6_1, DEBIAN_6_12, TEST_HMM, DEBIAN_6_18, DEBIAN_7_3].into_iter().enumerate()
    {
        let (layout, missing) = resolve_layout(&load(name));
        for (field, offsets) in expected {
            assert_eq!(layout.get(field), Some(offsets[column]), "{field} of {name}");
        }
        let absent: Vec<&str> = expected
            .iter()
            .filter(|(_, offsets)| offsets[column] == ABSENT)
            .map(|(field, _)| *field)
            .collect();
        assert_eq!(missing.iter().map(|field| field.name).collect::<Vec<_>>(), absent, "{name}");
    }
}

#[test]
fn page_flags_moved_between_kernels() {
    for (name, expected) in [
        (DEBIAN_6_1, [0, 15, 2, 16, 17, 20, 21]),
        (DEBIAN_6_12, [0, 1, 3, 6, 11, 18, 19]),
        (TEST_HMM, [0, 1, 3, 6, 11, 18, 19]),
        (DEBIAN_6_18, [0, 1, 3, 6, 11, 18, 20]),
        (DEBIAN_7_3, [0, 1, 3, 6, 11, 18, 20]),
    ] {
        let btf = load(name);
        let flags = [
            "PG_locked",
            "PG_writeback",
            "PG_uptodate",
            "PG_head",
            "PG_anon_exclusive",
            "PG_unevictable",
            "PG_mlocked",
        ];
        assert_eq!(flags.map(|flag| btf.enumerator(flag)), expected.map(Some), "{name}");
    }
}

#[test]
fn enumerations_have_the_kernels_values() {
    for name in [DEBIAN_6_1, DEBIAN_6_12, TEST_HMM, DEBIAN_6_18, DEBIAN_7_3] {
        let facts = facts(name, None);
        let value = |table: &str, wanted: &str| {
            let values = &facts.description.enums[table];
            values.iter().find(|value| value.name == wanted).map(|value| value.value)
        };
        assert_eq!(value("ttu_flags", "TTU_SPLIT_HUGE_PMD"), Some(4), "{name}");
        assert_eq!(value("ttu_flags", "TTU_RMAP_LOCKED"), Some(0x80), "{name}");
        assert_eq!(value("dma_data_direction", "DMA_FROM_DEVICE"), Some(2), "{name}");
        assert_eq!(value("migrate_mode", "MIGRATE_SYNC"), Some(2), "{name}");
        assert_eq!(value("migrate_reason", "MR_COMPACTION"), Some(0), "{name}");
        assert_eq!(value("vm_fault_reason", "VM_FAULT_SIGBUS"), Some(2), "{name}");
        assert_eq!(value("fault_flag", "FAULT_FLAG_WRITE"), Some(1), "{name}");
        let names: Vec<&str> = facts.description.page_flags.iter().map(|flag| flag.name.as_str()).collect();
        assert!(names.contains(&"PG_swapcache") && !names.contains(&"__NR_PAGEFLAGS"), "{names:?}");
    }
}

#[test]
fn signatures_are_read() {
    let list = |btf: &Btf, name: &str| -> Vec<String> {
        let signature = btf.function(name).unwrap();
        let parameters = signature.parameters.iter();
        parameters.map(|parameter| format!("{}: {}", parameter.name, parameter.type_name)).collect()
    };
    let (old, new) = (load(DEBIAN_6_1), load(TEST_HMM));
    assert_eq!(list(&old, "try_to_unmap"), ["folio: struct folio *", "flags: enum ttu_flags"]);
    let old_arguments = list(&old, "swiotlb_tbl_map_single");
    assert_eq!(old_arguments.len(), 7);
    assert_eq!(old_arguments[0], "dev: struct device *");
    assert_eq!(list(&new, "swiotlb_tbl_map_single").len(), 6);
    assert_eq!(
        list(&new, "make_device_exclusive_range"),
        [
            "mm: struct mm_struct *",
            "start: long unsigned int",
            "end: long unsigned int",
            "pages: struct page **",
            "owner: void *"
        ]
    );
    assert_eq!(new.function("try_to_unmap").unwrap().result, "void");
    assert!(old.function("make_device_exclusive_range").is_none());
    assert!(old.function("page_mlock").is_none());
    let tracepoint = new.tracepoint("set_migration_pte").unwrap();
    let types: Vec<&str> =
        tracepoint.parameters.iter().map(|parameter| parameter.type_name.as_str()).collect();
    assert_eq!(types, ["long unsigned int", "long unsigned int", "int"]);
    assert_eq!(new.tracepoint("sched_process_fork").unwrap().parameters.len(), 2);
}

#[test]
fn swap_types_of_each_kernel() {
    let table = |facts: &Facts| -> Vec<(&str, u32)> {
        facts.description.swap_types.iter().map(|entry| (entry.kind.name(), entry.number)).collect()
    };
    let debian_6_1 = [
        ("hwpoison", 26),
        ("migration_read", 27),
        ("migration_read_exclusive", 28),
        ("migration_write", 29),
        ("pte_marker", 30),
        ("swapin_error", 31),
    ];
    let configuration = "CONFIG_PTE_MARKER=y\nCONFIG_MEMORY_FAILURE=y\nCONFIG_MIGRATION=y";
    let facts_6_1 = facts(DEBIAN_6_1, Some(configuration));
    assert_eq!(table(&facts_6_1), debian_6_1);
    assert!(facts_6_1.description.swap_types_source.ends_with("/boot/config-6.0-test agrees"));
    assert_eq!(table(&facts(DEBIAN_6_1, None)), debian_6_1);
    assert!((facts_6_1.entry.exclusive_first..=facts_6_1.entry.exclusive_last).is_empty());
    let debian_6_12 = [
        ("hwpoison", 27),
        ("migration_read", 28),
        ("migration_read_exclusive", 29),
        ("migration_write", 30),
        ("pte_marker", 31),
    ];
    assert_eq!(table(&facts(DEBIAN_6_12, None)), debian_6_12);
    let test_hmm = [
        ("migration_read", 24),
        ("migration_read_exclusive", 25),
        ("migration_write", 26),
        ("device_write", 27),
        ("device_read", 28),
        ("device_exclusive_write", 29),
        ("device_exclusive_read", 30),
        ("pte_marker", 31),
    ];
    let facts = facts(TEST_HMM, None);
    assert_eq!(table(&facts), test_hmm);
    assert_eq!((facts.entry.exclusive_first, facts.entry.exclusive_last), (29, 30));
}

#[test]
fn facts_are_put_together() {
    let facts = facts(TEST_HMM, None);
    let description = &facts.description;
    assert_eq!((description.release.as_str(), description.possible_cpus), ("6.0-test", 8));
    assert_eq!((description.struct_page_size, description.vmemmap_base), (Some(64), None));
    assert_eq!(description.btf_id.as_deref(), Some(facts.btf.identity().as_str()));
    assert_eq!(description.layout.get("device_io_tlb_mem"), Some(&360));
    assert_eq!(description.layout.len() + facts.missing.len(), Layout::PATHS.len());
    assert_eq!((facts.entry.head_bit, 1 << facts.entry.page_shift), (6, description.page_size));
    assert_eq!(facts.memory_map.as_ref().map(|map| map.base_symbol), Ok(0xffff_ffff_8200_0000));
    assert!(facts.traceable.is_none() && facts.kprobe_blacklist.is_none());
    // What a reader elsewhere gets is the same.
    let json = serde_json::to_string(description).unwrap();
    assert_eq!(&serde_json::from_str::<rmapscope::kernel::Description>(&json).unwrap(), description);
}

#[test]
fn a_memory_map_that_cannot_be_found_has_a_reason() {
    let reason = |symbols: &str| facts_with(TEST_HMM, None, symbols).memory_map.unwrap_err();
    let hidden = "0000000000000000 D vmemmap_base\n0000000000000000 B mem_section\n";
    assert_eq!(reason(hidden), "neither vmemmap_base nor mem_section has a visible address");
    let arm = "ffff800081000000 D memstart_addr\nffff800082000000 B mem_section\n";
    assert!(reason(arm).contains("vmemmap_populate"), "{}", reason(arm));
    let populated = format!("{arm}ffff800080000000 T vmemmap_populate\n");
    assert_eq!(reason(&populated), "the records of mem_section are not in BTF");
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that cannot run here says so")]
fn this_machines_own_types() {
    let path = Path::new(RUNNING_KERNEL_BTF);
    if !path.exists() {
        eprintln!("not tested: this machine has no {RUNNING_KERNEL_BTF}");
        return;
    }
    let btf = Btf::load(path).unwrap();
    let (layout, missing) = resolve_layout(&btf);
    let is_missing = |name: &str| missing.iter().any(|field| field.name == name);
    for required in ["page_flags", "page_mapcount", "page_size", "vma_mm", "task_tgid", "fault_entry"] {
        assert!(!is_missing(required), "{required}");
    }
    assert_eq!(btf.enumerator("PG_locked"), Some(0));
    // Any section of memory tells where the map of all memory begins.
    for enumerator in ["SECTION_HAS_MEM_MAP_BIT", "SECTION_MAP_LAST_BIT"] {
        assert!(btf.enumerator(enumerator).is_some(), "{enumerator}");
    }
    assert!(btf.offset_of("mem_section", "section_mem_map").is_some());
    // The first two words of `struct page` are its flags and a union, in every version.
    assert_eq!((layout.page_flags, layout.page_compound_head), (0, 8));
    assert!(btf.function("try_to_unmap").is_some_and(|signature| signature.parameters.len() == 2));
}
