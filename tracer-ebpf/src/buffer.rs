//! This CPU's buffer: what the programs count, and room for records ([`tracer_common::buffer`]).

use core::arch::asm;

use aya_ebpf::bindings::{BPF_F_MMAPABLE, BPF_RB_FORCE_WAKEUP};
use aya_ebpf::helpers::bpf_get_smp_processor_id;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, RingBuf};
use tracer_common::buffer::{COMMIT, CpuBuffer, HEAD_BYTES};
use tracer_common::counters::Counters;

use crate::globals::global;

/// One for each CPU. User space sets their number, and makes the values larger by the records.
#[map]
static BUFFERS: Array<CpuBuffer> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Wakes the reader; what is in it says nothing.
#[map]
static BELL: RingBuf = RingBuf::with_byte_size(4096, 0);

/// Number of the CPU that the program runs on.
#[inline(always)]
pub fn cpu() -> u32 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_get_smp_processor_id() }
}

/// This CPU's buffer.
#[inline(always)]
pub fn buffer() -> Option<&'static mut CpuBuffer> {
    // SAFETY: the value outlives the program's run. Other programs on the same CPU change its words in single steps
    // only, as this one.
    BUFFERS.get_ptr_mut(cpu()).map(|buffer| unsafe { &mut *buffer })
}

/// This CPU's counters.
#[inline(always)]
pub fn counters() -> Option<&'static mut Counters> {
    buffer().map(|buffer| &mut buffer.counters)
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

/// Writes `new` where `old` is, in one step for all CPUs (since 5.12); returns what was there.
///
/// # Safety
/// `word` points into a map value.
#[inline(always)]
pub unsafe fn compare_exchange(word: *mut u64, old: u64, new: u64) -> u64 {
    let found;
    // SAFETY: as the caller promises. The instruction compares with r0 and leaves in it what it found.
    unsafe {
        asm!("r0 = cmpxchg_64({word} + 0, r0, {new})", word = in(reg) word, new = in(reg) new,
            inout("r0") old => found, options(nostack));
    }
    found
}

/// Room for a record of that many bytes, uncommitted; `None` when the buffer is full. Also when other programs on this
/// CPU took the room three times in between: then it is as good as full.
#[inline(always)]
pub fn reserve(buffer: &mut CpuBuffer, size: u64) -> Option<*mut u8> {
    let buffer: *mut CpuBuffer = buffer;
    let position = match try_reserve(buffer, size) {
        Try::Raced => match try_reserve(buffer, size) {
            Try::Raced => try_reserve(buffer, size),
            other => other,
        },
        other => other,
    };
    let Try::Reserved(position) = position else { return None };
    // In assembly: the verifier must see the mask applied to what is added.
    let mut offset = position;
    let mask = u64::from(global!(options.buffer_mask));
    // An exchange, which commits here, wants its word aligned as the verifier sees it; records are whole words.
    #[cfg(not(bpf_target_arch = "x86_64"))]
    let mask = mask & !7;
    // SAFETY: masks a register.
    unsafe {
        asm!("{offset} &= {mask}", offset = inout(reg) offset, mask = in(reg) mask, options(nomem, nostack))
    };
    // SAFETY: inside the value, which is as large as the mask says, and has slack for a record after that.
    Some(unsafe { buffer.cast::<u8>().add(offset as usize).add(HEAD_BYTES) })
}

/// What became of an attempt to reserve.
enum Try {
    /// Room at that position.
    Reserved(u64),
    /// Another program was quicker.
    Raced,
    /// There is no room.
    Full,
}

#[inline(always)]
fn try_reserve(buffer: *mut CpuBuffer, size: u64) -> Try {
    // SAFETY: words of a map value; the reader changes the one, programs on this CPU the other.
    let (reserved, taken) = unsafe {
        (
            core::ptr::read_volatile(&raw const (*buffer).reserved),
            core::ptr::read_volatile(&raw const (*buffer).taken),
        )
    };
    let mask = u64::from(global!(options.buffer_mask));
    let next = reserved + size;
    if next.wrapping_sub(taken) > mask + 1 {
        return Try::Full;
    }
    // SAFETY: a word of a map value.
    if unsafe { compare_exchange(&raw mut (*buffer).reserved, reserved, next) } != reserved {
        return Try::Raced;
    }
    if (reserved ^ next) > mask >> 2 {
        wake();
    }
    Try::Reserved(reserved)
}

/// Wakes the reader, each time another quarter of a buffer is full: a wake-up for each record costs more than all the
/// rest. Else it looks on its own every few ten milliseconds. A bell that is full has been rung.
#[inline(always)]
fn wake() {
    let _ = BELL.output::<u64>(&0, u64::from(BPF_RB_FORCE_WAKEUP));
}

/// Gives a record, which is all filled but for that word, to the reader.
///
/// # Safety
/// `record` is one that was [reserved](reserve).
#[inline(always)]
pub unsafe fn commit(record: *mut u8, word: u64) {
    // A plain store is the last that others see of this CPU's, on x86-64. Elsewhere that takes an exchange, which orders
    // all before it; BPF has a store-release only since 6.15.
    #[cfg(bpf_target_arch = "x86_64")]
    // SAFETY: as the caller promises. The compiler moves no access to memory past assembly.
    unsafe {
        asm!("*(u64 *)({record} + {at}) = {word}", record = in(reg) record, at = const COMMIT, word = in(reg) word,
            options(nostack))
    };
    #[cfg(not(bpf_target_arch = "x86_64"))]
    // SAFETY: as above.
    unsafe {
        asm!("{word} = xchg_64({record} + {at}, {word})", record = in(reg) record, at = const COMMIT,
            word = inout(reg) word => _, options(nostack))
    };
}
