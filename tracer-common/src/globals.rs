//! The block of constants that user space resolves before load and the programs read.
//!
//! It lands in the object's frozen `.rodata`: the verifier knows every value, prunes what is switched off,
//! and accepts the field offsets in direct loads through BTF-typed pointers.

use crate::counting::{self, Measure};
use crate::event::Kind;
use crate::family::Family;
use crate::glob::Glob;
use crate::point::{ARGUMENT_ABSENT, MAX_ARGUMENTS, Point};

/// An offset that this kernel does not have.
pub const OFFSET_ABSENT: u32 = u32::MAX;

/// Most process-name patterns.
pub const MAX_PATTERNS: usize = 4;

/// With [`Options::visits_for_rules`] a visit is sent when the folio has a multiple of this many mappings left:
/// a walk over very many VMAs shows, at a thousandth of its cost.
pub const VISITS_STEP: i32 = 1024;

/// Process ids of a 64-bit kernel are below this (6.12 include/linux/threads.h, PID_MAX_LIMIT).
pub const PROCESS_IDS: u32 = 1 << 22;

/// Result of the program `skipped_hits` where the number cannot be read.
pub const SKIPPED_UNKNOWN: u32 = u32::MAX;

/// First argument of the program `watch`: a process, with all its threads.
pub const WATCH_PROCESS: u32 = 1;

/// First argument of the program `watch`: a thread.
pub const WATCH_THREAD: u32 = 2;

/// Constants of one session on one kernel.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Globals {
    /// Which events to send, and what with.
    pub options: Options,
    /// How a swap entry sits in a page-table entry.
    pub entry: EntryFormat,
    /// Where the `struct page` of a page frame is.
    pub memory_map: MemoryMap,
    /// How page tables are walked.
    pub walk: WalkFormat,
    /// What is counted of each kind, by its [fixed slot](counting::fixed).
    pub measures: [Measure; counting::FIXED],
    /// Where the fields are.
    pub layout: Layout,
    /// Position of each named argument of each point, [`ARGUMENT_ABSENT`] where it has none.
    pub arguments: [[u8; MAX_ARGUMENTS]; Point::COUNT],
    /// Number of arguments of each point's function: the slot of the result in an fexit context.
    pub arity: [u8; Point::COUNT],
}

impl Options {
    /// Asks for events of a kind.
    pub fn ask_for(&mut self, kind: Kind) {
        self.kinds[kind.family() as usize] |= kind.bit();
    }
}

/// Which events to send, and what with. Every switch is 0 or 1.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Options {
    /// Events of functions that took less are not sent; 0 sends all. Needs `latency`.
    pub min_latency: u64,
    /// cgroup v2 id to look for at `cgroup_level`; 0 for any.
    pub cgroup: u64,
    /// Depth of that cgroup below the root.
    pub cgroup_level: u32,
    /// The tracer's own process id: its events are not sent.
    pub tracer_pid: u32,
    /// Bytes of records in each CPU's buffer ([`crate::buffer`]), a power of two, less 1.
    pub buffer_mask: u32,
    /// TTU_IGNORE_MLOCK (`enum ttu_flags`); 0 when unknown.
    pub ttu_ignore_mlock: u32,
    /// Number of `patterns` in use; 0 for any name.
    pub pattern_count: u32,
    /// A process's name must match one of them.
    pub patterns: [Glob; MAX_PATTERNS],
    /// Only processes that the program `watch` was told of, and their children.
    pub filter_process: u8,
    /// Only threads that the program `watch` was told of.
    pub filter_thread: u8,
    /// There is a filter by thread, cgroup or name.
    pub filter_more: u8,
    /// A child of a watched process is watched too.
    pub follow_children: u8,
    /// Measure the time in functions.
    pub latency: u8,
    /// Take kernel stacks.
    pub stacks: u8,
    /// `bpf_probe_read_kernel` may be used (not under lockdown=confidentiality).
    pub read_kernel: u8,
    /// Of the visits of rmap walks only those are sent that the rules are about (see [`VISITS_STEP`]).
    pub visits_for_rules: u8,
    /// `mlock_folio` is watched: count its calls inside `restore_exclusive_pte`.
    pub count_mlocks: u8,
    /// Send an event of [`Family`] `i` when bit `n` of `kinds[i]` is set, `n` being the low byte of its kind.
    pub kinds: [u32; Family::COUNT],
    /// The families whose trampoline programs are attached several times ([`crate::copies::families`]).
    pub copies: u32,
    /// Slots of the tables that each CPU has beside the [fixed](counting::FIXED) ones, less 1: a mask.
    pub slot_mask: u32,
    /// Whether and where events are counted: a [`Counting`](counting::Counting), as its number.
    pub counting: u8,
    /// What they are grouped by: a [`Group`](counting::Group), as its number.
    pub by: u8,
    /// Take histograms of the values.
    pub histograms: u8,
    /// Count calls where they begin, when nothing of their end is asked ([`Point::counted_at_entry`]).
    pub count_at_entry: u8,
}

macro_rules! layout {
    ($($(#[$doc:meta])* $field:ident = $path:literal,)*) => {
        /// Byte offsets of fields, [`OFFSET_ABSENT`] where the kernel has no such field.
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        pub struct Layout { $($(#[$doc])* pub $field: u32,)* }

        impl Layout {
            /// Nothing known.
            pub const ABSENT: Self = Self { $($field: OFFSET_ABSENT,)* };

            /// Every field: its name here and its path in the kernel's types, as `type.member.member`;
            /// alternatives are separated by `|`, `sizeof(type)` is a size.
            pub const PATHS: &'static [(&'static str, &'static str)] = &[$((stringify!($field), $path)),*];

            /// The offset of the field of that name.
            pub fn get(&self, name: &str) -> Option<u32> {
                match name { $(stringify!($field) => Some(self.$field),)* _ => None }
            }

            /// Sets the offset of the field of that name; `false` when there is none.
            pub fn set(&mut self, name: &str, offset: u32) -> bool {
                match name { $(stringify!($field) => self.$field = offset,)* _ => return false }
                true
            }
        }
    };
}

layout! {
    /// Raw page flags.
    page_flags = "page.flags",
    /// Mappings of an order-0 folio, less 1.
    page_mapcount = "page._mapcount",
    /// References.
    page_refcount = "page._refcount",
    /// Address space, with the anon and KSM bits.
    page_mapping = "page.mapping",
    /// The word by which a tail page finds its head (see [`crate::page::head`]); named `compound_info` since 7.1.
    page_compound_head = "page.compound_head|page.compound_info",
    /// Mappings of a large folio, less 1 (6.10 on).
    folio_large_mapcount = "folio._large_mapcount",
    /// Place of a folio in its mapping, in pages.
    folio_index = "folio.index|page.index",
    /// Size of `struct page`.
    page_size = "sizeof(page)",
    /// First address of a VMA.
    vma_start = "vm_area_struct.vm_start",
    /// Address after its last.
    vma_end = "vm_area_struct.vm_end",
    /// Its address space.
    vma_mm = "vm_area_struct.vm_mm",
    /// What its first address is in the mapping, in pages.
    vma_pgoff = "vm_area_struct.vm_pgoff",
    /// Its VM_* flags.
    vma_flags = "vm_area_struct.vm_flags",
    /// Page table of an address space.
    mm_pgd = "mm_struct.pgd",
    /// A zap spares private pages of file mappings (7.1 on).
    zap_skip_cows = "zap_details.skip_cows",
    /// A zap takes private pages of file mappings too (5.18 to 7.0).
    zap_even_cows = "zap_details.even_cows",
    /// A zap takes pages of this mapping only (up to 5.17).
    zap_check_mapping = "zap_details.check_mapping|zap_details.zap_mapping",
    /// The old VMA in the arguments of a move of page tables, where they are in a structure (6.16 on).
    move_vma = "pagetable_move_control.old",
    /// The address in it; advances during the call.
    move_old_address = "pagetable_move_control.old_addr",
    /// The new address; advances, too.
    move_new_address = "pagetable_move_control.new_addr",
    /// VMA of a fault.
    fault_vma = "vm_fault.vma",
    /// Its address.
    fault_address = "vm_fault.address",
    /// Its FAULT_FLAG_*.
    fault_flags = "vm_fault.flags",
    /// The entry it found.
    fault_entry = "vm_fault.orig_pte",
    /// Thread id.
    task_pid = "task_struct.pid",
    /// Process id.
    task_tgid = "task_struct.tgid",
    /// Name.
    task_comm = "task_struct.comm",
    /// Status of an ended task.
    task_exit_code = "task_struct.exit_code",
    /// Open files of a task.
    task_files = "task_struct.files",
    /// Their table.
    files_table = "files_struct.fdt",
    /// Its files, by descriptor.
    table_files = "fdtable.fd",
    /// What a file is about.
    file_private = "file.private_data",
    /// The perf event of a link.
    link_file = "bpf_perf_link.perf_file",
    /// The trace event of a perf event.
    event_call = "perf_event.tp_event",
    /// That in the trace event of a kprobe.
    trace_event_call = "trace_probe_event.call",
    /// Its list of kprobes.
    trace_event_probes = "trace_probe_event.probes",
    /// The list in one of them.
    trace_probe_list = "trace_probe.list",
    /// That in what it is of a kprobe.
    trace_kprobe_probe = "trace_kprobe.tp",
    /// Hits of a kprobe that were skipped.
    trace_kprobe_skipped = "trace_kprobe.rp.kp.nmissed",
    /// Calls of a return probe for which there was no instance.
    trace_kprobe_no_instance = "trace_kprobe.rp.nmissed",
    /// VMA of a device migration.
    migrate_vma_vma = "migrate_vma.vma",
    /// Its first address.
    migrate_vma_start = "migrate_vma.start",
    /// Address after its last.
    migrate_vma_end = "migrate_vma.end",
    /// Its pages.
    migrate_vma_npages = "migrate_vma.npages",
    /// Pages collected.
    migrate_vma_cpages = "migrate_vma.cpages",
    /// Its source entries.
    migrate_vma_src = "migrate_vma.src",
    /// Its destination entries.
    migrate_vma_dst = "migrate_vma.dst",
    /// What it collects.
    migrate_vma_flags = "migrate_vma.flags",
    /// Owner of the device memory.
    migrate_vma_owner = "migrate_vma.pgmap_owner",
    /// The page that a fault is about.
    migrate_vma_fault_page = "migrate_vma.fault_page",
    /// The notifier of a range that a driver asks for.
    range_notifier = "hmm_range.notifier",
    /// Its first address.
    range_start = "hmm_range.start",
    /// Address after its last.
    range_end = "hmm_range.end",
    /// What is asked of every page.
    range_flags = "hmm_range.default_flags",
    /// Owner of the device memory that may stay.
    range_owner = "hmm_range.dev_private_owner",
    /// Address space of a notifier.
    interval_mm = "mmu_interval_notifier.mm",
    /// First address of its range.
    interval_start = "mmu_interval_notifier.interval_tree.start",
    /// The last one.
    interval_last = "mmu_interval_notifier.interval_tree.last",
    /// Name of a device.
    device_name = "device.kobj.name",
    /// Name of a device before it is registered.
    device_init_name = "device.init_name",
    /// Its bounce-buffer pool.
    device_io_tlb_mem = "device.dma_io_tlb_mem",
    /// Its DMA operations, where it has its own.
    device_dma_ops = "device.dma_ops",
    /// Its IOMMU group.
    device_iommu_group = "device.iommu_group",
    /// First physical address of a pool.
    pool_start = "io_tlb_mem.start|io_tlb_mem.defpool.start",
    /// Address after its last.
    pool_end = "io_tlb_mem.end|io_tlb_mem.defpool.end",
    /// Its slots.
    pool_slots = "io_tlb_mem.slots|io_tlb_mem.defpool.slots",
    /// Every mapping bounces.
    pool_force_bounce = "io_tlb_mem.force_bounce",
    /// Serves coherent memory too.
    pool_for_alloc = "io_tlb_mem.for_alloc",
    /// Other pools are added when it is full (CONFIG_SWIOTLB_DYNAMIC): whatever of that is there.
    pool_dynamic = "io_tlb_mem.can_grow|io_tlb_mem.pools|io_tlb_mem.dyn_alloc",
    /// Where the default pool is in it (6.6 on).
    pool_default = "io_tlb_mem.defpool",
    /// Its used slots, where they are counted at one place (up to 5.19).
    pool_used = "io_tlb_mem.used",
    /// Its areas, which have locks and counters of their own (6.0 on).
    pool_areas = "io_tlb_mem.areas|io_tlb_mem.defpool.areas",
    /// Number of its areas.
    pool_area_count = "io_tlb_mem.nareas|io_tlb_mem.defpool.nareas",
    /// Size of an area's record.
    area_size = "sizeof(io_tlb_area)",
    /// Used slots of an area.
    area_used = "io_tlb_area.used",
    /// First physical address of the pool that a function gets as an argument (6.11 on).
    argument_pool_start = "io_tlb_pool.start",
    /// Its slots.
    argument_pool_slots = "io_tlb_pool.slots",
    /// Size of a slot's record.
    slot_size = "sizeof(io_tlb_slot)",
    /// Original address in a slot's record.
    slot_original = "io_tlb_slot.orig_addr",
    /// Size of the mapping in a slot's record.
    slot_alloc_size = "io_tlb_slot.alloc_size",
    /// Page of an element of a list, with the marks of its chain.
    sg_page = "scatterlist.page_link",
    /// Where its buffer begins in the page.
    sg_offset = "scatterlist.offset",
    /// Bytes of its buffer.
    sg_length = "scatterlist.length",
    /// Address that the device got.
    sg_dma_address = "scatterlist.dma_address",
    /// Marks of bus addresses.
    sg_dma_flags = "scatterlist.dma_flags",
    /// Size of an element.
    sg_size = "sizeof(scatterlist)",
}

/// How a swap entry sits in a page-table entry of this architecture and kernel:
/// `type = entry >> type_shift & type_mask`, `pfn = (invert ? !entry : entry) << up >> down & pfn_mask`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct EntryFormat {
    /// Masks the page frame number (the bits above it may hold young and dirty).
    pub pfn_mask: u64,
    /// Bits of which any means that the entry is present.
    pub present_mask: u64,
    /// Right shift to the swap type.
    pub type_shift: u32,
    /// Mask of the swap type after the shift.
    pub type_mask: u32,
    /// Left shift that drops the bits above the offset.
    pub up: u32,
    /// Right shift that brings the offset down.
    pub down: u32,
    /// 1 where the offset is stored inverted (x86).
    pub invert: u32,
    /// Lowest swap type of a device-exclusive entry; above `exclusive_last` where there is none.
    pub exclusive_first: u32,
    /// Highest swap type of a device-exclusive entry.
    pub exclusive_last: u32,
    /// Number of the PG_head bit; [`OFFSET_ABSENT`] when unknown.
    pub head_bit: u32,
    /// Number of the PG_locked bit; [`OFFSET_ABSENT`] when unknown.
    pub locked_bit: u32,
    /// log2 of the pages of a huge page that one entry of a directory maps.
    pub huge_order: u32,
    /// log2 of the bytes of a page.
    pub page_shift: u32,
    /// Lowest swap type of a migration entry; above `migration_last` where there is none.
    pub migration_first: u32,
    /// Highest swap type of a migration entry.
    pub migration_last: u32,
    /// Fills up.
    pub reserved: u32,
    /// Page flags that all of a folio in the swap cache has; 0 when unknown.
    pub swap_cache: u64,
    /// Page flags of which any stands for a reference of a folio in a cache; 0 when unknown.
    pub private: u64,
}

impl EntryFormat {
    /// The swap type of a raw entry; `None` for an empty or present one.
    #[inline(always)]
    pub const fn swap_type(&self, entry: u64) -> Option<u32> {
        if entry == 0 || entry & self.present_mask != 0 {
            return None;
        }
        Some((entry >> self.type_shift) as u32 & self.type_mask)
    }

    /// The page frame number of a raw entry that holds one.
    #[inline(always)]
    pub const fn pfn(&self, entry: u64) -> u64 {
        let stored = if self.invert != 0 { !entry } else { entry };
        (stored << (self.up & 63)) >> (self.down & 63) & self.pfn_mask
    }
}

/// Where the `struct page` of page frame 0 is, or would be: behind a variable of the kernel (x86-64), or in the record of
/// any part of its memory (`mem_section`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct MemoryMap {
    /// Address of the kernel's variable `vmemmap_base`; 0 where it has none.
    pub base_symbol: u64,
    /// Address of the kernel's variable `mem_section`; 0 where it is not known.
    pub sections_symbol: u64,
    /// Masks the address in the word of a section.
    pub section_mask: u64,
    /// The bit that this word has where the section has memory.
    pub section_present: u64,
    /// Offset of the word in a section's record.
    pub section_word: u32,
    /// Size of the record.
    pub section_size: u32,
    /// Records in a table of them.
    pub sections: u32,
    /// Fills up.
    pub reserved: u32,
}

impl MemoryMap {
    /// Nobody knows where.
    pub const UNKNOWN: Self = Self {
        base_symbol: 0,
        sections_symbol: 0,
        section_mask: 0,
        section_present: 0,
        section_word: 0,
        section_size: 0,
        sections: 0,
        reserved: 0,
    };

    /// Whether it can be found out.
    pub const fn is_known(&self) -> bool {
        self.base_symbol != 0 || self.sections_symbol != 0
    }
}

/// How the page tables of a process are walked. Each table is a page of entries of eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct WalkFormat {
    /// Address of the kernel's variable `page_offset_base`; 0 where it has none.
    pub page_offset_symbol: u64,
    /// The start of the direct map where it is a constant.
    pub page_offset: u64,
    /// Address of the kernel's variable with the physical address that the direct map begins with; 0 where that is
    /// physical address 0.
    pub memory_start_symbol: u64,
    /// Address of the kernel's variable `physical_mask`; 0 where it has none.
    pub physical_mask_symbol: u64,
    /// Masks the physical address in an entry, less what `physical_mask` masks (encryption).
    pub address_mask: u64,
    /// Masks the highest bits of the physical address, which are elsewhere in the entry; 0 where they are not.
    pub high_mask: u64,
    /// How far those are shifted up.
    pub high_shift: u32,
    /// Bits by which a directory's entry is told that leads to a table.
    pub table_mask: u32,
    /// What they are then.
    pub table_value: u32,
    /// Levels of the page tables: 2 to 5; 0 where they are not to be walked.
    pub levels: u32,
    /// The bit without which a present entry holds its address inverted; 0 where none does.
    pub inverted_without: u32,
    /// 1 where programs can loop with `bpf_loop` (5.17 on).
    pub loops: u32,
}

impl WalkFormat {
    /// Not to be walked.
    pub const NONE: Self = Self {
        page_offset_symbol: 0,
        page_offset: 0,
        memory_start_symbol: 0,
        physical_mask_symbol: 0,
        address_mask: 0,
        high_mask: 0,
        high_shift: 0,
        table_mask: 0,
        table_value: 0,
        levels: 0,
        inverted_without: 0,
        loops: 0,
    };
}

impl Globals {
    /// Everything off and unknown; what the object holds until user space fills it in.
    pub const EMPTY: Self = Self {
        options: Options {
            min_latency: 0,
            cgroup: 0,
            cgroup_level: 0,
            tracer_pid: 0,
            buffer_mask: 0,
            ttu_ignore_mlock: 0,
            pattern_count: 0,
            patterns: [Glob::NOTHING; MAX_PATTERNS],
            filter_process: 0,
            filter_thread: 0,
            filter_more: 0,
            follow_children: 0,
            latency: 0,
            stacks: 0,
            read_kernel: 0,
            visits_for_rules: 0,
            count_mlocks: 0,
            kinds: [0; Family::COUNT],
            copies: 0,
            slot_mask: 0,
            counting: 0,
            by: 0,
            histograms: 0,
            count_at_entry: 0,
        },
        layout: Layout::ABSENT,
        entry: EntryFormat {
            pfn_mask: 0,
            present_mask: 0,
            type_shift: 0,
            type_mask: 0,
            up: 0,
            down: 0,
            invert: 0,
            exclusive_first: 1,
            exclusive_last: 0,
            head_bit: OFFSET_ABSENT,
            locked_bit: OFFSET_ABSENT,
            huge_order: 0,
            page_shift: 0,
            migration_first: 1,
            migration_last: 0,
            reserved: 0,
            swap_cache: 0,
            private: 0,
        },
        memory_map: MemoryMap::UNKNOWN,
        walk: WalkFormat::NONE,
        measures: [Measure::NONE; counting::FIXED],
        arguments: [[ARGUMENT_ABSENT; MAX_ARGUMENTS]; Point::COUNT],
        arity: [0; Point::COUNT],
    };
}
