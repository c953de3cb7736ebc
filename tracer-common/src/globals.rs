//! The block of constants that user space resolves before load and the programs read.
//!
//! It lands in the object's frozen `.rodata`: the verifier knows every value, prunes what is switched off,
//! and accepts the field offsets in direct loads through BTF-typed pointers.

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
    /// How page tables are walked.
    pub walk: WalkFormat,
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
    /// The ring is worth a wake-up from this many bytes on.
    pub wakeup_bytes: u32,
    /// Number of `patterns` in use; 0 for any name.
    pub pattern_count: u32,
    /// A process's name must match one of them.
    pub patterns: [Glob; MAX_PATTERNS],
    /// Only processes that the program `watch` was told of, and their children.
    pub filter_process: u8,
    /// Only threads that the program `watch` was told of.
    pub filter_thread: u8,
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
    /// Size of `struct page`.
    page_size = "sizeof(page)",
    /// First address of a VMA.
    vma_start = "vm_area_struct.vm_start",
    /// Address after its last.
    vma_end = "vm_area_struct.vm_end",
    /// Its address space.
    vma_mm = "vm_area_struct.vm_mm",
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
    /// Address of the kernel's variable `vmemmap_base`; 0 when unknown.
    pub vmemmap_symbol: u64,
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

/// How the page tables of a process are walked: x86-64, pages of 4 KiB, 512 entries a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct WalkFormat {
    /// Address of the kernel's variable `page_offset_base`; 0 where it has none.
    pub page_offset_symbol: u64,
    /// The start of the direct map where it is a constant.
    pub page_offset: u64,
    /// Address of the kernel's variable `physical_mask`; 0 where it has none.
    pub physical_mask_symbol: u64,
    /// Masks the physical address in an entry, less what `physical_mask` masks (encryption).
    pub address_mask: u64,
    /// The bit that a used entry of a directory has.
    pub present_mask: u64,
    /// The bit of a directory's entry that maps memory itself.
    pub large_mask: u64,
    /// Levels of the page tables: 4 or 5; 0 where they are not to be walked.
    pub levels: u32,
    /// 1 where programs can loop with `bpf_loop` (5.17 on).
    pub loops: u32,
}

impl WalkFormat {
    /// Not to be walked.
    pub const NONE: Self = Self {
        page_offset_symbol: 0,
        page_offset: 0,
        physical_mask_symbol: 0,
        address_mask: 0,
        present_mask: 0,
        large_mask: 0,
        levels: 0,
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
            wakeup_bytes: 0,
            pattern_count: 0,
            patterns: [Glob::NOTHING; MAX_PATTERNS],
            filter_process: 0,
            filter_thread: 0,
            follow_children: 0,
            latency: 0,
            stacks: 0,
            read_kernel: 0,
            visits_for_rules: 0,
            count_mlocks: 0,
            kinds: [0; Family::COUNT],
            copies: 0,
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
            vmemmap_symbol: 0,
        },
        walk: WalkFormat::NONE,
        arguments: [[ARGUMENT_ABSENT; MAX_ARGUMENTS]; Point::COUNT],
        arity: [0; Point::COUNT],
    };
}
