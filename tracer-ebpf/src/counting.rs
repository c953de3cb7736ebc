//! Counting instead of sending: what an event would say is added to tables, in which each CPU has its own part
//! ([`tracer_common::counting`]).
//!
//! A slot's key is written once, in one step, and everything else is only added to: a program that is preempted in the
//! middle, or an interrupt on top of it, counts in the same slots, and nothing is counted twice or not at all.

use core::arch::asm;

use aya_ebpf::bindings::{BPF_F_MMAPABLE, BPF_NOEXIST};
use aya_ebpf::helpers::bpf_get_current_comm;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap};
use tracer_common::counting::{
    self, BUCKETS as BUCKETS_OF_SLOT, Counting, FIXED, Group, Measure, NUMBERED, Number, Operation, Slot,
    TRIES,
};
use tracer_common::event::Kind;
use tracer_common::family::Family;
use tracer_common::point::Point;

use crate::buffer::{add, compare_exchange, count, counters, cpu};
use crate::globals::{block, global};

/// What was counted. User space sets the number, and reads it where it is.
#[map]
static SLOTS: Array<Slot> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// The histogram of each slot.
#[map]
static BUCKETS: Array<[u64; BUCKETS_OF_SLOT]> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Numbers of groups that do not fit a slot's key.
#[map]
static GROUPS: HashMap<[u64; 2], u32> = HashMap::with_max_entries(1, 0);

/// How many of them were given.
#[map]
static GIVEN: Array<u64> = Array::with_max_entries(1, 0);

/// Whether the session counts.
#[inline(always)]
pub fn is_on() -> bool {
    global!(options.counting) != Counting::Off as u8
}

/// Whether events of that kind are counted instead of sent. Those that say who is who are always sent.
#[inline(always)]
pub fn counts(kind: Kind) -> bool {
    is_on() && !matches!(kind.family(), Family::Process) && !matches!(kind, Kind::DeviceName)
}

/// Whether what the record would have is needed to count it.
#[inline(always)]
pub fn needs_body() -> bool {
    global!(options.counting) == Counting::ByBody as u8
}

/// Whether handlers of that point need to know what time it is: some of their events are sent, or it is measured.
#[inline(always)]
pub fn needs_time(point: Point) -> bool {
    !is_on() || global!(options.latency) != 0 || matches!(point.family(), Family::Process | Family::Swiotlb)
}

/// A group, as a slot's key has it, or [`NO_GROUP`].
type Grouped = u64;

/// More than any group: there is none, or no room for one more.
const NO_GROUP: Grouped = 1 << 32;

/// The group of an event by what its header says, as a function of its own: it is too long to be a part of each program.
#[inline(never)]
pub fn group(tid: u32, pid: u32, stack: u32) -> Grouped {
    group_here(tid, pid, stack)
}

#[inline(always)]
fn group_here(tid: u32, pid: u32, stack: u32) -> Grouped {
    let by = global!(options.by);
    if by == Group::Process as u8 {
        pid.into()
    } else if by == Group::Thread as u8 {
        tid.into()
    } else if by == Group::Cpu as u8 {
        cpu().into()
    } else if by == Group::Stack as u8 {
        stack.into()
    } else if by == Group::Name as u8 {
        let Ok(name) = bpf_get_current_comm() else { return NO_GROUP };
        // SAFETY: the same bytes.
        let [first, second] = unsafe { core::mem::transmute::<[u8; 16], [u64; 2]>(name) };
        numbered(first, second)
    } else {
        NO_GROUP
    }
}

/// Counts an event of which no more is needed than its [group] and how long the call took.
#[inline(always)]
pub fn count_early(kind: Kind, group: Grouped, duration: u64) {
    let is_timed = measure(kind as u16).operation != Operation::Nothing as u8 && duration != 0;
    add_numbers(kind as u32, group, is_timed.into(), duration);
}

/// Counts an event of which its header is enough; without a detour, because it is all that the program does.
#[inline(always)]
pub fn count_at_entry(kind: Kind, tid: u32, pid: u32, stack: u32) {
    add_to(kind as u16, group_here(tid, pid, stack), None);
}

/// Counts an event by what its record would have; `group` is that by its header.
#[inline(always)]
pub fn count_body<B: Copy>(kind: u16, group: Grouped, body: B) {
    // A copy of its own, so that the body itself need not be in memory where it is sent.
    let copy = body;
    let bytes = (&raw const copy).cast::<u8>();
    // SAFETY: user space names members of the body of that kind.
    let read = |number: Number| unsafe {
        let place = bytes.add(number.offset as usize);
        match number.size {
            8 => place.cast::<u64>().read_volatile(),
            4 => u64::from(place.cast::<u32>().read_volatile()),
            _ => 0,
        }
    };
    let measure = measure(kind);
    let mut group = group;
    if global!(options.by) == Group::Member as u8 {
        group = match measure.group.size {
            8 => numbered(read(measure.group), 0),
            4 => read(measure.group),
            _ => NO_GROUP,
        };
    }
    let (is_measured, value) = match measure.value(read) {
        Some(value) => (1, value),
        None => (0, 0),
    };
    add_numbers(kind.into(), group, is_measured, value);
}

/// [`add_to`] as a function of its own, which takes nothing but numbers.
#[inline(never)]
fn add_numbers(kind: u32, group: Grouped, is_measured: u32, value: u64) {
    add_to(kind as u16, group, if is_measured != 0 { Some(value) } else { None });
}

/// What is measured of a kind.
#[inline(always)]
fn measure(kind: u16) -> Measure {
    // SAFETY: a kind has a place in the array; each byte is read on its own, as every constant of the session.
    unsafe {
        let measure = (&raw const (*block()).measures).cast::<Measure>().add(counting::fixed(kind));
        let number = |number: *const Number| Number {
            offset: (&raw const (*number).offset).read_volatile(),
            size: (&raw const (*number).size).read_volatile(),
        };
        Measure {
            operation: (&raw const (*measure).operation).read_volatile(),
            absent: (&raw const (*measure).absent).read_volatile(),
            first: number(&raw const (*measure).first),
            second: number(&raw const (*measure).second),
            right: (&raw const (*measure).right).read_volatile(),
            left: (&raw const (*measure).left).read_volatile(),
            group: number(&raw const (*measure).group),
        }
    }
}

/// The number of a group, which is given one when it is seen first.
#[inline(never)]
fn numbered(first: u64, second: u64) -> Grouped {
    let group = [first, second];
    if let Some(number) = number_of(&group) {
        return number.into();
    }
    let Some(given) = GIVEN.get_ptr_mut(0) else { return NO_GROUP };
    // SAFETY: an aligned word of a map value, which programs write in this way only.
    if unsafe { given.read_volatile() } >= u64::from(NUMBERED) {
        return NO_GROUP;
    }
    let mut number = 1u64;
    // SAFETY: as above.
    unsafe {
        asm!("{number} = atomic_fetch_add((u64 *)({given} + 0), {number})", given = in(reg) given,
            number = inout(reg) number, options(nostack))
    };
    // Another CPU may be faster: its number counts, and this one is nobody's.
    let _ = GROUPS.insert(&group, &(number as u32), u64::from(BPF_NOEXIST));
    match number_of(&group) {
        Some(number) => number.into(),
        None => NO_GROUP,
    }
}

#[inline(always)]
fn number_of(group: &[u64; 2]) -> Option<u32> {
    // SAFETY: a value is written before it can be found, and never again.
    GROUPS.get_ptr(group).map(|number| unsafe { *number })
}

/// Adds an event and its value to the slot of its group; to that of its kind where there is none.
#[inline(always)]
fn add_to(kind: u16, group: Grouped, value: Option<u64>) {
    let begin = cpu() * (FIXED as u32 + global!(options.slot_mask) + 1);
    let own = if group < NO_GROUP { own_slot(begin, counting::key(kind, group as u32)) } else { None };
    let (index, slot) = match own {
        Some(own) => own,
        None => {
            let index = begin + counting::fixed(kind) as u32;
            let Some(slot) = SLOTS.get_ptr_mut(index) else { return lose(kind) };
            (index, slot)
        }
    };
    // SAFETY: words of a map value, which are only added to.
    let slot = unsafe { &mut *slot };
    count(&mut slot.count);
    let Some(value) = value else { return };
    add(&mut slot.sum, value);
    count(&mut slot.measured);
    if global!(options.histograms) != 0
        && let Some(buckets) = BUCKETS.get_ptr_mut(index)
    {
        let mut bucket = counting::bucket(value) as u64;
        // In assembly, so that the bound is that of the register that is used.
        // SAFETY: masks a register.
        unsafe {
            asm!("{bucket} &= {mask}", bucket = inout(reg) bucket, mask = const BUCKETS_OF_SLOT - 1,
                options(nomem, nostack))
        };
        // SAFETY: the masked index is below the array's length.
        count(unsafe { &mut *buckets.cast::<u64>().add(bucket as usize) });
    }
}

/// The slot of a key among those of a CPU, where there is room for it.
#[inline(always)]
fn own_slot(begin: u32, key: u64) -> Option<(u32, *mut Slot)> {
    let mut place = counting::hash(key);
    for _ in 0..TRIES {
        let index = begin + FIXED as u32 + (place & global!(options.slot_mask));
        let slot = SLOTS.get_ptr_mut(index)?;
        // SAFETY: a word of a map value, which is written once.
        let mut found = unsafe { (&raw const (*slot).key).read_volatile() };
        if found == 0 {
            // SAFETY: as above; an interrupt may be faster.
            found = unsafe { compare_exchange(&raw mut (*slot).key, 0, key) };
            if found == 0 {
                return Some((index, slot));
            }
        }
        if found == key {
            return Some((index, slot));
        }
        place = place.wrapping_add(1);
    }
    None
}

/// Counts an event as lost: this CPU has no tables.
#[inline(always)]
fn lose(kind: u16) {
    if let Some(counters) = counters()
        && let Some(lost) = counters.lost.get_mut(kind as usize >> 8)
    {
        count(lost);
    }
}
