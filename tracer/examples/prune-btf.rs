//! Makes a small BTF file out of a kernel's: just the types, functions and tracepoints that rmapscope asks
//! for, so that tests can carry the BTF of several kernels.
//!
//! `cargo run -p rmapscope --example prune-btf -- /sys/kernel/btf/vmlinux OUT.btf`
//!
//! Wanted structs keep every member; other structs that they contain keep their size and lose their
//! members; pointers to anything else lead to an empty struct of the same name.

use std::collections::HashMap;
use std::error::Error;

/// Structs whose members are kept.
const STRUCTS: &[&str] = &[
    "page",
    "folio",
    "vm_area_struct",
    "vm_fault",
    "task_struct",
    "migrate_vma",
    "hmm_range",
    "mmu_interval_notifier",
    "interval_tree_node",
    "mm_struct",
    "scatterlist",
    "zap_details",
    "pagetable_move_control",
    "device",
    "kobject",
    "io_tlb_area",
    "io_tlb_mem",
    "io_tlb_pool",
    "io_tlb_slot",
    "rmap_walk_arg",
    "bpf_ringbuf",
    "files_struct",
    "fdtable",
    "file",
    "bpf_perf_link",
    "perf_event",
    "trace_probe_event",
    "trace_probe",
    "trace_kprobe",
    "kretprobe",
    "kprobe",
];

/// Enumerations whose values are kept.
const ENUMS: &[&str] = &[
    "pageflags",
    "ttu_flags",
    "dma_data_direction",
    "migrate_mode",
    "migrate_reason",
    "vm_fault_reason",
    "fault_flag",
];

const FUNCTIONS: &[&str] = &[
    "make_device_exclusive_range",
    "make_device_exclusive",
    "page_make_device_exclusive_one",
    "restore_exclusive_pte",
    "do_swap_page",
    "try_to_unmap",
    "try_to_migrate",
    "try_to_unmap_one",
    "try_to_migrate_one",
    "remove_migration_pte",
    "migrate_vma_setup",
    "page_mlock",
    "page_mlock_one",
    "mlock_folio",
    "mlock_vma_page",
    "munlock_folio",
    "munlock_page",
    "munlock_vma_page",
    "mlock_fixup",
    "copy_page_range",
    "copy_pte_range",
    "swiotlb_map",
    "swiotlb_tbl_map_single",
    "swiotlb_tbl_unmap_single",
    "__swiotlb_tbl_unmap_single",
    "swiotlb_sync_single_for_cpu",
    "__swiotlb_sync_single_for_cpu",
    "swiotlb_sync_single_for_device",
    "__swiotlb_sync_single_for_device",
    "swiotlb_alloc",
    "swiotlb_free",
    "unmap_page_range",
    "__zap_vma_range",
    "move_page_tables",
    "exit_mmap",
    "move_to_new_folio",
    "move_to_new_page",
    "dma_map_page_attrs",
    "dma_map_phys",
    "dma_direct_map_sg",
    "memory_failure",
    "migrate_pages",
    "migrate_vma_pages",
    "migrate_vma_finalize",
    "migrate_device_range",
    "migrate_device_pfns",
    "hmm_range_fault",
    "mmu_interval_notifier_insert",
    "mmu_interval_notifier_insert_locked",
    "mmu_interval_notifier_remove",
    "lru_add_drain",
    "folio_putback_lru",
    "remove_migration_ptes",
    "register_ftrace_direct",
];

const TYPEDEFS: &[&str] = &[
    "btf_trace_sched_process_fork",
    "btf_trace_sched_process_exec",
    "btf_trace_sched_process_exit",
    "btf_trace_task_rename",
    "btf_trace_set_migration_pte",
    "btf_trace_remove_migration_pte",
    "btf_trace_mm_migrate_pages",
    "btf_trace_set_migration_pmd",
    "btf_trace_remove_migration_pmd",
];

const POINTER: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const TYPEDEF: u32 = 8;
const FUNCTION: u32 = 12;
const PROTOTYPE: u32 = 13;
const ENUM64: u32 = 19;

/// A type: its name, its info word, its size or type, its items with name and words.
#[derive(Clone)]
struct Type {
    name: String,
    info: u32,
    third: u32,
    items: Vec<(String, Vec<u32>)>,
    words: Vec<u32>,
}

impl Type {
    fn kind(&self) -> u32 {
        self.info >> 24 & 0x7f
    }

    fn has_members(&self) -> bool {
        matches!(self.kind(), STRUCT | UNION)
    }

    /// The same type without its items.
    fn emptied(mut self) -> Self {
        self.items.clear();
        self.info &= !0xff_ffff;
        self
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = arguments.as_slice() else { return Err("usage: prune-btf IN OUT".into()) };
    let types = read(&std::fs::read(input)?).ok_or("the input is no little-endian BTF")?;
    let mut pruned =
        Pruned { types: &types, new: Vec::new(), numbers: HashMap::new(), stubs: HashMap::new() };
    for (number, kept) in types.iter().enumerate().skip(1) {
        let list = match kept.kind() {
            STRUCT | UNION => STRUCTS,
            ENUM | ENUM64 => ENUMS,
            FUNCTION => FUNCTIONS,
            TYPEDEF => TYPEDEFS,
            _ => continue,
        };
        if list.contains(&kept.name.as_str()) {
            pruned.copy(number as u32);
        }
    }
    std::fs::write(output, write(&pruned.new))?;
    Ok(())
}

/// Every type; the first stands for `void`.
fn read(bytes: &[u8]) -> Option<Vec<Type>> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let section = word(4)? as usize;
    let (mut at, strings) = (section + word(8)? as usize, section + word(16)? as usize);
    let end = at + word(12)? as usize;
    let string = |offset: u32| {
        let text = bytes.get(strings + offset as usize..)?.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(text).into_owned())
    };
    let mut types = vec![Type { name: String::new(), info: 0, third: 0, items: vec![], words: vec![] }];
    while at < end {
        let (name, info, third) = (string(word(at)?)?, word(at + 4)?, word(at + 8)?);
        at += 12;
        let (words, item_words) = match info >> 24 & 0x7f {
            1 | 14 | 17 => (1, 0),
            ARRAY => (3, 0),
            STRUCT | UNION | 15 | ENUM64 => (0, 3),
            ENUM | PROTOTYPE => (0, 2),
            _ => (0, 0),
        };
        let own: Option<Vec<u32>> = (0..words).map(|index| word(at + index * 4)).collect();
        at += words * 4;
        let mut items = Vec::new();
        for _ in 0..if item_words > 0 { info & 0xff_ffff } else { 0 } {
            let rest: Option<Vec<u32>> = (1..item_words).map(|index| word(at + index * 4)).collect();
            items.push((string(word(at)?)?, rest?));
            at += item_words * 4;
        }
        types.push(Type { name, info, third, items, words: own? });
    }
    Some(types)
}

/// The types that are kept, with their new numbers.
struct Pruned<'types> {
    types: &'types [Type],
    new: Vec<Type>,
    numbers: HashMap<u32, u32>,
    /// Empty types by kind, name and size.
    stubs: HashMap<(u32, String, u32), u32>,
}

impl Pruned<'_> {
    /// The new number of a type that is contained or passed by value.
    fn copy(&mut self, old: u32) -> u32 {
        if old == 0 {
            return 0;
        }
        if let Some(number) = self.numbers.get(&old) {
            return *number;
        }
        let mut copy = self.types[old as usize].clone();
        let kind = copy.kind();
        let is_wanted = copy.name.is_empty() || STRUCTS.contains(&copy.name.as_str());
        if copy.has_members() && !is_wanted
            || kind == ENUM && !ENUMS.contains(&copy.name.as_str())
            || kind == ENUM64
        {
            return self.stub(copy);
        }
        self.new.push(copy.clone());
        let number = self.new.len() as u32;
        self.numbers.insert(old, number);
        match kind {
            POINTER => copy.third = self.target(copy.third),
            ARRAY => {
                copy.words[0] = self.copy(copy.words[0]);
                copy.words[1] = self.copy(copy.words[1]);
            }
            STRUCT | UNION => {
                for (_, words) in &mut copy.items {
                    words[0] = self.copy(words[0]);
                }
            }
            PROTOTYPE => {
                copy.third = self.copy(copy.third);
                for (_, words) in &mut copy.items {
                    words[0] = self.copy(words[0]);
                }
            }
            // Typedef, volatile, const, restrict, function, type tag.
            8..=12 | 18 => copy.third = self.copy(copy.third),
            _ => {}
        }
        self.new[number as usize - 1] = copy;
        number
    }

    /// The new number of a type that is pointed to.
    fn target(&mut self, old: u32) -> u32 {
        let target = &self.types[old as usize];
        if target.has_members() && !STRUCTS.contains(&target.name.as_str()) {
            return self.stub(target.clone());
        }
        self.copy(old)
    }

    fn stub(&mut self, original: Type) -> u32 {
        let key = (original.kind(), original.name.clone(), original.third);
        if let Some(number) = self.stubs.get(&key) {
            return *number;
        }
        self.new.push(original.emptied());
        let number = self.new.len() as u32;
        self.stubs.insert(key, number);
        number
    }
}

fn write(types: &[Type]) -> Vec<u8> {
    let mut strings = vec![0_u8];
    let mut known = HashMap::from([(String::new(), 0_u32)]);
    let mut string = |text: &str| {
        *known.entry(text.to_owned()).or_insert_with(|| {
            strings.extend(text.bytes().chain([0]));
            (strings.len() - text.len() - 1) as u32
        })
    };
    let mut words = Vec::new();
    for kept in types {
        words.extend([string(&kept.name), kept.info, kept.third]);
        words.extend(&kept.words);
        for (name, rest) in &kept.items {
            words.push(string(name));
            words.extend(rest);
        }
    }
    let length = words.len() as u32 * 4;
    let mut bytes = vec![0x9f, 0xeb, 1, 0];
    for word in [24, 0, length, length, strings.len() as u32].into_iter().chain(words) {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(strings);
    bytes
}
