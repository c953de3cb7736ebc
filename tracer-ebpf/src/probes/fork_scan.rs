//! What the page tables of parent and child hold when a copy ends.
//!
//! Fork holds the parent's mmap_lock for writing, and nobody runs in the child yet: no entry can become
//! exclusive meanwhile, and no table is freed. Reclaim and migration may change entries of pages.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{bpf_loop, bpf_probe_read_kernel};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{LruHashMap, PerCpuArray};
use tracer_common::copies::COPIES;
use tracer_common::event::{UNCOUNTED, UNKNOWN};

use crate::entry::{is_exclusive, is_present, page_of_present, page_of_swap, page_shift, page_size};
use crate::filter::Task;
use crate::page;
use crate::table::{self, ENTRIES, Walk};

/// Most parts of page tables (or holes) of one VMA that are looked at: 64 GiB of it with pages of 4 KiB, more where there
/// are holes or larger pages.
const MOST_TABLES: u32 = 32 << 10;

/// Most restored pages of one copy that are compared.
const MOST_RESTORED: u64 = 1024;

/// Pages restored inside copies that go on: address and `struct page`, by the thread and a number.
#[map]
static RESTORED: LruHashMap<[u64; 2], [u64; 2]> = LruHashMap::with_max_entries(8 << 10, 0);

/// What a copy is about.
#[derive(Clone, Copy)]
pub struct Range {
    /// The parent's address space.
    pub source_mm: u64,
    /// The child's.
    pub destination_mm: u64,
    /// First address.
    pub start: u64,
    /// Address after the last.
    pub end: u64,
}

/// What was seen; as in [`CopyPageRange`](tracer_common::event::CopyPageRange).
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Seen {
    pub left: u32,
    pub copied: u32,
    pub compared: u32,
    pub taken: u32,
    pub unscanned: u32,
    reserved: u32,
    pub first_left: u64,
    pub first_left_flags: u64,
    pub first_copied: u64,
    pub first_taken: u64,
}

impl Seen {
    /// Nobody looked.
    pub const NOTHING: Self = Self { left: UNCOUNTED, copied: UNCOUNTED, compared: UNCOUNTED, ..Self::NONE };

    /// Looked, and nothing found.
    const NONE: Self = Self {
        left: 0,
        copied: 0,
        compared: 0,
        taken: 0,
        unscanned: 0,
        reserved: 0,
        first_left: 0,
        first_left_flags: UNKNOWN,
        first_copied: 0,
        first_taken: 0,
    };
}

/// State of a scan: in a map, because the verifier of old kernels takes what a loop's callback finds on the
/// stack in its first round for all there ever is.
#[repr(C)]
struct Scan {
    range: Range,
    /// Walks in parent and child.
    source: Walk,
    destination: Walk,
    /// Where the scan is.
    address: u64,
    /// The number of its entry in that part of the table of pages.
    first: u64,
    /// The thread, as key of [`RESTORED`].
    thread: u64,
    seen: Seen,
    /// A table of pages, or a part of one.
    table: [u64; ENTRIES as usize],
}

/// One for each CPU and copy of the program of `copy_page_range`: the kernel runs none of them inside itself on
/// one CPU, but may preempt it in the middle and run another copy.
#[map]
static SCAN: PerCpuArray<Scan> = PerCpuArray::with_max_entries(COPIES as u32, 0);

#[inline(always)]
fn state(copy: u16) -> Option<&'static mut Scan> {
    // SAFETY: this CPU's own, and used by one program at a time.
    SCAN.get_ptr_mut(u32::from(copy) - 1).map(|scan| unsafe { &mut *scan })
}

/// Remembers the page that was restored as that number of a copy.
#[inline(always)]
pub fn note_restored(task: Task, number: u64, address: u64, page: u64) {
    if number < MOST_RESTORED && table::scans() {
        let _ = RESTORED.insert([task.pid_tgid, number], [address, page], 0);
    }
}

/// Looks at the page tables of both, and compares the entries of the pages that were restored.
#[inline(always)]
pub fn scan(range: Range, task: Task, restored: u64, copy: u16) -> Seen {
    if !table::scans() {
        return Seen::NOTHING;
    }
    let Some(scan) = state(copy) else { return Seen::NOTHING };
    scan.range = range;
    scan.source.start(range.source_mm);
    scan.destination.start(range.destination_mm);
    scan.address = range.start;
    scan.thread = task.pid_tgid;
    scan.seen = Seen::NONE;
    let mut context: *mut Scan = scan;
    let context = (&raw mut context).cast::<c_void>();
    // SAFETY: the callbacks have the type that the helper wants, and the context outlives the loop.
    unsafe { bpf_loop(MOST_TABLES, look as *mut c_void, context, 0) };
    if scan.address < range.end {
        scan.seen.unscanned += ((range.end - scan.address).div_ceil(table::covers())) as u32;
    }
    if restored != 0 {
        let most = if restored < MOST_RESTORED { restored } else { MOST_RESTORED };
        scan.seen.unscanned += (restored - most) as u32;
        // SAFETY: as above.
        unsafe { bpf_loop(most as u32, compare as *mut c_void, context, 0) };
    }
    scan.seen
}

/// What a callback tells the loop.
const GO_ON: i64 = 0;
const STOP: i64 = 1;

/// One round of the scan: the tables of pages at its address, or a hole.
extern "C" fn look(_number: u32, context: *mut c_void) -> i64 {
    // SAFETY: `scan` passes a pointer to its pointer to the scan.
    let scan = unsafe { &mut **context.cast::<*mut Scan>() };
    if scan.address >= scan.range.end {
        return STOP;
    }
    scan.source.find(scan.address);
    scan.destination.find(scan.address);
    if scan.source.has_failed() || scan.destination.has_failed() {
        scan.seen.unscanned += 1;
    }
    // Fork copies a VMA, not the rest of its tables.
    scan.first = (scan.address >> page_shift()) % ENTRIES;
    let (to_end, to_next) = ((scan.range.end - scan.address) >> page_shift(), ENTRIES - scan.first);
    let count = if to_end < to_next { to_end } else { to_next };
    let table = scan.source.part(scan.address);
    if table != 0 && read(scan, table) {
        // SAFETY: the callbacks have the type that the helper wants, and the context outlives the loop.
        unsafe { bpf_loop(count as u32, look_at_parents as *mut c_void, context, 0) };
    }
    let table = scan.destination.part(scan.address);
    if table != 0 && read(scan, table) {
        // SAFETY: as above.
        unsafe { bpf_loop(count as u32, look_at_childs as *mut c_void, context, 0) };
    }
    let (source, destination) = (scan.source.covers(), scan.destination.covers());
    let mut covers = if source < destination { source } else { destination };
    if scan.source.table() | scan.destination.table() != 0 && covers > table::covers() {
        covers = table::covers();
    }
    scan.address = (scan.address | (covers - 1)) + 1;
    GO_ON
}

/// One entry of the parent's table.
extern "C" fn look_at_parents(number: u32, context: *mut c_void) -> i64 {
    // SAFETY: `look` passes its own context on.
    let scan = unsafe { &mut **context.cast::<*mut Scan>() };
    let entry = nth(scan, number);
    if is_exclusive(entry) {
        if scan.seen.left == 0 {
            scan.seen.first_left = scan.address + u64::from(number) * page_size();
            scan.seen.first_left_flags = page::flags_of_any(page_of_swap(entry));
        }
        scan.seen.left += 1;
    }
    GO_ON
}

/// One entry of the child's.
extern "C" fn look_at_childs(number: u32, context: *mut c_void) -> i64 {
    // SAFETY: as above.
    let scan = unsafe { &mut **context.cast::<*mut Scan>() };
    if is_exclusive(nth(scan, number)) {
        if scan.seen.copied == 0 {
            scan.seen.first_copied = scan.address + u64::from(number) * page_size();
        }
        scan.seen.copied += 1;
    }
    GO_ON
}

/// The entry at that distance from the scan's address.
#[inline(always)]
fn nth(scan: &Scan, number: u32) -> u64 {
    scan.table[((scan.first + u64::from(number)) % ENTRIES) as usize]
}

/// Reads a table of pages, or a part of one.
#[inline(always)]
fn read(scan: &mut Scan, table: u64) -> bool {
    // SAFETY: the helper checks the source, and the destination has that size.
    let status = unsafe {
        bpf_probe_read_kernel(
            scan.table.as_mut_ptr().cast(),
            size_of::<[u64; ENTRIES as usize]>() as u32,
            table as *const _,
        )
    };
    if status != 0 {
        scan.seen.unscanned += 1;
    }
    status == 0
}

/// One restored page: whether the child has taken it.
extern "C" fn compare(number: u32, context: *mut c_void) -> i64 {
    // SAFETY: as for `look`.
    let scan = unsafe { &mut **context.cast::<*mut Scan>() };
    let key = [scan.thread, u64::from(number)];
    let Some(restored) = RESTORED.get_ptr(key) else {
        scan.seen.unscanned += 1;
        return GO_ON;
    };
    // SAFETY: a map value; nobody else has this thread's keys.
    let [address, page] = unsafe { *restored };
    let _ = RESTORED.remove(key);
    scan.source.look_up(address);
    scan.destination.look_up(address);
    if scan.source.has_failed() || scan.destination.has_failed() {
        scan.seen.unscanned += 1;
        return GO_ON;
    }
    let (source, destination) = (scan.source.entry(), scan.destination.entry());
    scan.seen.compared += 1;
    let child_has_it = is_present(destination) && page_of_present(destination) == page;
    // A swap or a migration entry is the work of reclaim or migration.
    let parent_lost_it = source == 0 || is_present(source) && page_of_present(source) != page;
    if child_has_it && parent_lost_it {
        if scan.seen.taken == 0 {
            scan.seen.first_taken = address;
        }
        scan.seen.taken += 1;
    }
    GO_ON
}
