//! The reader's end of the buffers: records of all CPUs in one order.
//!
//! Records of one CPU come in the order in which their room was reserved, and those of several in the order of their
//! times. A look reads the clock first and then how far each CPU has reserved. A record that is reserved later and has
//! an earlier time belongs to a program that was running all the while: nothing that was handed on before can rest on
//! it. So everything up to that clock can be handed on, except where a CPU has a record that is not committed yet: then
//! everything up to the last one before it.

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use tracer_common::buffer::{COMMIT, CpuBuffer, HEAD_BYTES, value_size};
use tracer_common::counters::Counters;
use tracer_common::event::{Header, Kind, MAX_RECORD_SIZE};

use super::mapping::Mapping;
use crate::event::Run;

/// One round takes about this many records, so that the session looks at its signals and timers again.
const ROUND: usize = 1 << 16;

/// What was taken is given back when it is this part of a buffer, or at the end of a round.
const GIVE_BACK: u64 = 8;

/// All CPUs' buffers.
pub struct Buffers {
    cpus: Vec<Cpu>,
    /// Size of the records by number of their kind; 0 for what is no kind.
    sizes: Vec<u16>,
    /// What [`Cpu`]s point into.
    _mapping: Mapping,
}

/// What came of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// Everything that was committed before it is taken.
    Done,
    /// There may be more.
    More,
    /// Everything but what waits for a record that is not committed.
    Waiting,
}

impl Buffers {
    /// Of the map of so many CPUs with that many bytes of records each.
    ///
    /// # Errors
    /// When the map cannot be had in memory.
    pub fn new(map: BorrowedFd<'_>, cpus: u32, bytes: u32) -> io::Result<Self> {
        let size = value_size(bytes) as usize;
        let mapping = Mapping::new(map, cpus as usize * size)?;
        // SAFETY: within the mapping, which is as long as all values.
        let cpus = (0..cpus as usize).map(|cpu| Cpu::new(unsafe { mapping.start().add(cpu * size) }, bytes));
        let highest = Kind::ALL.iter().map(|kind| *kind as usize).max().unwrap_or(0);
        let mut sizes = vec![0; highest + 1];
        for kind in Kind::ALL {
            sizes[*kind as usize] = kind.record_size() as u16;
        }
        Ok(Self { cpus: cpus.collect(), sizes, _mapping: mapping })
    }

    /// Bytes of records that all of them can hold.
    pub fn bytes(&self) -> u64 {
        self.cpus.iter().map(|cpu| cpu.bytes).sum()
    }

    /// The sums of what the programs counted on all CPUs.
    pub fn counters(&self) -> Counters {
        let mut sum = Counters::ZERO;
        for cpu in &self.cpus {
            // SAFETY: integers in the mapping, which programs change while they are read.
            sum.add(&unsafe { ptr::read_volatile(&raw const (*cpu.buffer).counters) });
        }
        sum
    }

    /// Hands on what waits. `now` is the clock before this call; `u64::MAX` when no program runs any more.
    ///
    /// # Errors
    /// That of `take`, which ends the round; the run that failed counts as taken.
    pub fn drain<E>(&mut self, now: u64, mut take: impl FnMut(Run<'_>) -> Result<(), E>) -> Result<Round, E> {
        let Self { cpus, sizes, .. } = self;
        for cpu in cpus.iter_mut() {
            cpu.look();
        }
        let mut left = ROUND;
        let mut waiting = cpus.iter_mut().filter(|cpu| !cpu.is_empty());
        let result = match (waiting.next(), waiting.next()) {
            (None, _) => Ok(Round::Done),
            (Some(cpu), None) => cpu.take_alone(now, sizes, &mut left, &mut take),
            (Some(_), Some(_)) => merge(cpus, now, sizes, &mut left, &mut take),
        };
        for cpu in cpus {
            cpu.give_back();
            if cpu.is_empty() {
                cpu.known_until = cpu.known_until.max(now);
            }
        }
        result
    }
}

/// Hands on the records of several CPUs.
fn merge<E>(
    cpus: &mut [Cpu],
    now: u64,
    sizes: &[u16],
    left: &mut usize,
    take: &mut impl FnMut(Run<'_>) -> Result<(), E>,
) -> Result<Round, E> {
    let mut bound = now;
    for cpu in cpus.iter_mut() {
        cpu.find_committed(sizes);
        if cpu.is_blocked() {
            bound = bound.min(cpu.known_until);
        }
    }
    loop {
        // The CPU with the earliest record, and the time up to which it stays that.
        let (mut first, mut until) = (None, bound);
        for (index, cpu) in cpus.iter().enumerate() {
            let Some(time) = cpu.next_time() else { continue };
            match first {
                _ if time > bound => {}
                None => first = Some((index, time)),
                Some((_, earliest)) if time < earliest => {
                    until = until.min(earliest);
                    first = Some((index, time));
                }
                Some(_) => until = until.min(time),
            }
        }
        let Some((index, _)) = first else {
            let blocked = cpus.iter().any(Cpu::is_blocked);
            return Ok(if blocked { Round::Waiting } else { Round::Done });
        };
        if *left == 0 {
            return Ok(Round::More);
        }
        let cpu = &mut cpus[index];
        cpu.take_run(cpu.committed, until, sizes, left, take)?;
    }
}

/// One CPU's buffer.
struct Cpu {
    buffer: *mut CpuBuffer,
    /// Bytes of records.
    bytes: u64,
    /// Position of the next record that is not taken.
    next: u64,
    /// Position up to which what was taken is given back.
    given_back: u64,
    /// Position up to which records are known to be committed.
    committed: u64,
    /// Position up to which room was reserved at the last look.
    reserved: u64,
    /// Until then, and as far as its records are known, nothing is missing of this CPU.
    known_until: u64,
}

// SAFETY: points into the mapping that lies beside it.
unsafe impl Send for Cpu {}

impl Cpu {
    fn new(buffer: *mut u8, bytes: u32) -> Self {
        Self {
            buffer: buffer.cast(),
            bytes: u64::from(bytes),
            next: 0,
            given_back: 0,
            committed: 0,
            reserved: 0,
            known_until: 0,
        }
    }

    /// The record at a position.
    #[inline]
    fn record(&self, position: u64) -> *mut u8 {
        let offset = position & (self.bytes - 1);
        // SAFETY: within the value.
        unsafe { self.buffer.cast::<u8>().add(HEAD_BYTES + offset as usize) }
    }

    /// The word there that says whether it is committed.
    #[inline]
    fn commit_word(&self, position: u64) -> u64 {
        // SAFETY: an aligned word of the mapping, which a program writes once.
        unsafe { AtomicU64::from_ptr(self.record(position).add(COMMIT).cast()) }.load(Ordering::Acquire)
    }

    /// When the record there was taken.
    #[inline]
    fn time(&self, position: u64) -> u64 {
        // SAFETY: an aligned word of a committed record.
        unsafe { self.record(position).cast::<u64>().read() }
    }

    /// Sees how far room is reserved.
    fn look(&mut self) {
        // SAFETY: an aligned word of the mapping, which programs move on.
        let reserved = unsafe { AtomicU64::from_ptr(&raw mut (*self.buffer).reserved) };
        self.reserved = reserved.load(Ordering::Acquire);
    }

    /// Whether everything that was reserved is taken.
    fn is_empty(&self) -> bool {
        self.next == self.reserved
    }

    /// Sees how far records are committed.
    fn find_committed(&mut self, sizes: &[u16]) {
        while self.committed < self.reserved {
            let word = self.commit_word(self.committed);
            if word == 0 {
                return;
            }
            self.known_until = self.known_until.max(self.time(self.committed));
            self.committed = match size_of_record(word, sizes) {
                Some(size) => self.committed + size,
                // No program writes such a record: where the next one begins nobody knows.
                None => self.reserved,
            };
        }
    }

    /// Whether a record is not committed.
    fn is_blocked(&self) -> bool {
        self.committed < self.reserved
    }

    /// When the next record that can be taken was taken by its program.
    #[inline]
    fn next_time(&self) -> Option<u64> {
        (self.next < self.committed).then(|| self.time(self.next))
    }

    /// Hands on the records when no other CPU has any.
    fn take_alone<E>(
        &mut self,
        now: u64,
        sizes: &[u16],
        left: &mut usize,
        take: &mut impl FnMut(Run<'_>) -> Result<(), E>,
    ) -> Result<Round, E> {
        while !self.is_empty() {
            if self.commit_word(self.next) == 0 {
                return Ok(Round::Waiting);
            }
            if self.time(self.next) > now {
                break;
            }
            if *left == 0 {
                return Ok(Round::More);
            }
            self.take_run(self.reserved, now, sizes, left, take)?;
        }
        Ok(Round::Done)
    }

    /// Hands on the next record, which is committed, and those of the same kind that follow it up to a position and a
    /// time and lie behind it in memory.
    fn take_run<E>(
        &mut self,
        end: u64,
        until: u64,
        sizes: &[u16],
        left: &mut usize,
        take: &mut impl FnMut(Run<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.record(self.next);
        let kind = self.commit_word(self.next) as u16;
        let most = (*left).min((self.bytes / GIVE_BACK) as usize / MAX_RECORD_SIZE).max(1);
        let (mut count, size) = (1, size_of_record(u64::from(kind), sizes));
        let bytes = match size {
            Some(size) => {
                // A record that begins before the end may go on in the slack, and is the last before the beginning.
                let room = self.bytes - (self.next & (self.bytes - 1));
                let last = end.min(self.next + room);
                let mut latest = self.time(self.next);
                self.next += size;
                while count < most && self.next < last {
                    let (word, time) = (self.commit_word(self.next), self.time(self.next));
                    if word as u16 != kind || time > until {
                        break;
                    }
                    latest = latest.max(time);
                    count += 1;
                    self.next += size;
                }
                self.known_until = self.known_until.max(latest);
                count * size as usize
            }
            // What is no record is handed on as far as it goes: whoever takes it says so.
            None => {
                let rest = self.reserved - self.next;
                self.next = self.reserved;
                rest.min(size_of::<Header>() as u64) as usize
            }
        };
        self.committed = self.committed.max(self.next);
        *left = left.saturating_sub(count);
        // SAFETY: committed records, which nobody writes until they are given back.
        let bytes = unsafe { std::slice::from_raw_parts(start, bytes) };
        let result = take(Run::new(kind, size.map_or(bytes.len(), |size| size as usize), bytes));
        if self.next - self.given_back >= self.bytes / GIVE_BACK {
            self.give_back();
        }
        result
    }

    /// Zeroes what was taken, and lets programs have it.
    fn give_back(&mut self) {
        if self.given_back == self.next {
            return;
        }
        let (from, length) = (self.record(self.given_back), self.next - self.given_back);
        // A record that began before the end went on in the slack; what begins after it begins that much later.
        let to_end = self.bytes - (self.given_back & (self.bytes - 1));
        // SAFETY: bytes of records that were taken: to the last one that begins before the end and the slack that it
        // reaches into, then from the beginning.
        unsafe {
            if length <= to_end {
                zero(from, length as usize);
            } else {
                let slack = tracer_common::buffer::SLACK_BYTES as u64;
                zero(from, (to_end + slack.min(length - to_end)) as usize);
                zero(self.record(0), (length - to_end) as usize);
            }
        }
        self.given_back = self.next;
        // SAFETY: an aligned word of the mapping, which only this process writes.
        let taken = unsafe { AtomicU64::from_ptr(&raw mut (*self.buffer).taken) };
        taken.store(self.next, Ordering::Release);
    }
}

/// Zeroes memory in pieces. For a large one the C library takes `rep stosb`, which where processors are emulated goes on
/// byte by byte and costs as much as all that is done with an event; pieces of this size it writes in a loop of vectors,
/// which is as fast anywhere.
///
/// # Safety
/// So many bytes from `start` on are the caller's to write.
unsafe fn zero(start: *mut u8, bytes: usize) {
    const PIECE: usize = 1024;
    for at in (0..bytes).step_by(PIECE) {
        // Not known to the compiler, which would make one piece of them again.
        let length = std::hint::black_box(PIECE.min(bytes - at));
        // SAFETY: as the caller promises.
        unsafe { ptr::write_bytes(start.add(at), 0, length) };
    }
}

/// Size of the record with that commit word; `None` for what no program writes.
#[inline]
fn size_of_record(word: u64, sizes: &[u16]) -> Option<u64> {
    sizes.get(usize::from(word as u16)).filter(|size| **size != 0).map(|size| u64::from(*size))
}

#[cfg(test)]
mod tests;
