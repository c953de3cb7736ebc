//! The ring: reserve, count a failed reserve, fill, submit.

use core::arch::asm;

use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns};
use aya_ebpf::macros::map;
use aya_ebpf::maps::ring_buf::RingBufEntry;
use aya_ebpf::maps::{PerCpuArray, RingBuf, StackTrace};
use tracer_common::counters::Counters;
use tracer_common::event::{Header, Kind, STACK_NONE};

use crate::context::Context;
use crate::filter::Task;
use crate::globals::{block, global};

/// Records on their way to user space, which sets the size.
#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(8 << 20, 0);

#[map]
static COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(1, 0);

/// Kernel stacks by their id. User space sets the number.
#[map]
static STACKS: StackTrace = StackTrace::with_max_entries(16384, 0);

/// One record in the ring.
#[repr(C)]
struct Record<B> {
    header: Header,
    body: B,
}

/// This CPU's counters.
#[inline(always)]
pub fn counters() -> Option<&'static mut Counters> {
    // SAFETY: the value is this CPU's own; other programs on the same CPU only add to it, as this one.
    COUNTERS.get_ptr_mut(0).map(|counters| unsafe { &mut *counters })
}

/// Counts one more. In one instruction: the task may be preempted in the middle of a program, and another one that
/// runs on the same CPU meanwhile, or an interrupt, counts too.
#[inline(always)]
pub fn count(counter: &mut u64) {
    add(counter, 1);
}

/// Counts `number` more, as [`count`].
#[inline(always)]
pub fn add(counter: &mut u64, number: u64) {
    // SAFETY: an aligned word of a map value, which programs write in this way only.
    unsafe {
        asm!("lock *(u64 *)({counter} + 0) += {number}", counter = in(reg) counter, number = in(reg) number,
            options(nostack))
    };
}

/// The same, and how many there are now.
#[inline(always)]
fn count_up(counter: &mut u64) -> u64 {
    let mut number = 1u64;
    // SAFETY: as above.
    unsafe {
        asm!("{number} = atomic_fetch_add((u64 *)({counter} + 0), {number})", counter = in(reg) counter,
            number = inout(reg) number, options(nostack))
    };
    number + 1
}

/// Every this many records of a CPU its program looks whether the reader should be woken.
const WAKEUP_CHECK: u64 = 128;

/// Reservation for one record in the ring. It must be sent.
pub struct Reservation<B: 'static> {
    record: RingBufEntry<Record<B>>,
    header: Header,
    wake: bool,
}

/// Reservation for a record of `kind`, taken at `time`. `None` when its family was not asked for or the ring is full.
///
/// The reader is woken when much waits, else it looks on its own every few ten milliseconds: a wake-up for
/// each record costs more than all the rest.
#[inline(always)]
pub fn reserve<C: Context, B: 'static>(
    context: &C,
    counters: &mut Counters,
    kind: Kind,
    task: Task,
    time: u64,
) -> Option<Reservation<B>> {
    let family = kind.family() as usize;
    if !is_asked(kind) {
        return None;
    }
    let stack = stack(context, counters);
    let emitted = count_up(&mut counters.emitted[family]);
    let Some(record) = EVENTS.reserve::<Record<B>>(0) else {
        count(&mut counters.lost[family]);
        return None;
    };
    let wake = emitted % WAKEUP_CHECK == 0
        && EVENTS.query(u64::from(BPF_RB_AVAIL_DATA)) >= u64::from(global!(options.wakeup_bytes));
    let header =
        Header { time, tid: task.tid(), pid: task.pid(), kind: kind as u16, cpu: cpu() as u16, stack };
    Some(Reservation { record, header, wake })
}

impl<B: 'static> Reservation<B> {
    /// Fills the room and gives the record to the reader.
    #[inline(always)]
    pub fn send(self, body: B) {
        let Self { mut record, header, wake } = self;
        record.write(Record { header, body });
        record.submit(u64::from(if wake { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP }));
    }
}

/// Number of the CPU that the program runs on.
#[inline(always)]
pub fn cpu() -> u32 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_get_smp_processor_id() }
}

/// Nanoseconds of `CLOCK_MONOTONIC`.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_ns() }
}

/// Whether events of that kind are to be sent.
#[inline(always)]
pub fn is_asked(kind: Kind) -> bool {
    // SAFETY: a family's number is below the array's length.
    let asked = unsafe {
        core::ptr::read_volatile(
            (&raw const (*block()).options.kinds).cast::<u32>().add(kind.family() as usize),
        )
    };
    asked & kind.bit() != 0
}

#[inline(always)]
fn stack<C: Context>(context: &C, counters: &mut Counters) -> i32 {
    if global!(options.stacks) == 0 {
        return STACK_NONE;
    }
    let id = context.stack(&STACKS);
    if id < 0 {
        count(&mut counters.stacks_lost);
    }
    id
}
