use std::os::fd::AsFd;

use proptest::prelude::*;

use super::*;

/// Bytes of records of each CPU.
const BYTES: u32 = 4096;

/// The programs' end, as tracer-ebpf/src/buffer.rs has it.
struct Programs {
    memory: Mapping,
    clock: u64,
}

/// A record that is not committed.
#[derive(Clone, Copy)]
struct Reserved {
    record: *mut u8,
    kind: Kind,
}

fn pair(cpus: u32) -> (Programs, Buffers) {
    let file = tempfile::tempfile().expect("a file");
    let length = u64::from(cpus) * u64::from(value_size(BYTES));
    file.set_len(length).expect("its size");
    let memory = Mapping::new(file.as_fd(), length as usize).expect("memory");
    let buffers = Buffers::new(file.as_fd(), cpus, BYTES).expect("memory");
    (Programs { memory, clock: 1000 }, buffers)
}

impl Programs {
    fn now(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// Room on a CPU at that time; `None` when there is none, which is counted.
    fn reserve(&mut self, cpu: u32, kind: Kind, time: u64) -> Option<Reserved> {
        let at = self.memory.start().wrapping_add(cpu as usize * value_size(BYTES) as usize);
        // SAFETY: inside the mapping; the reader is not running.
        let buffer = unsafe { &mut *at.cast::<CpuBuffer>() };
        let size = kind.record_size() as u64;
        let family = kind.family() as usize;
        buffer.counters.emitted[family] += 1;
        if buffer.reserved + size - buffer.taken > u64::from(BYTES) {
            buffer.counters.lost[family] += 1;
            return None;
        }
        let offset = buffer.reserved & u64::from(BYTES - 1);
        buffer.reserved += size;
        let record = at.wrapping_add(HEAD_BYTES + offset as usize);
        // SAFETY: as above.
        unsafe { record.cast::<u64>().write(time) };
        Some(Reserved { record, kind })
    }

    fn commit(&self, reserved: Reserved) {
        let Reserved { record, kind } = reserved;
        for word in (8..kind.record_size()).step_by(8).filter(|at| *at != COMMIT) {
            // SAFETY: inside the record.
            unsafe { record.add(word).cast::<u64>().write(u64::MAX) };
        }
        // SAFETY: as above.
        unsafe { record.add(COMMIT).cast::<u64>().write(kind as u64) };
    }

    fn send(&mut self, cpu: u32, kind: Kind) -> Option<u64> {
        let time = self.now();
        let reserved = self.reserve(cpu, kind, time)?;
        self.commit(reserved);
        Some(time)
    }
}

/// The times of what a round takes, and what came of it.
fn round(buffers: &mut Buffers, now: u64) -> (Vec<u64>, Round) {
    let mut times = Vec::new();
    let result = buffers.drain::<()>(now, |run| {
        times.extend(run.records().map(|record| Header::decode(record).expect("a header").time));
        Ok(())
    });
    (times, result.expect("nothing fails"))
}

#[test]
fn records_of_two_cpus_come_in_the_order_of_time() {
    let (mut programs, mut buffers) = pair(2);
    let sent: Vec<u64> =
        [0, 1, 1, 0, 0, 1].into_iter().filter_map(|cpu| programs.send(cpu, Kind::TryToUnmap)).collect();
    assert_eq!(round(&mut buffers, programs.clock), (sent, Round::Done));
    assert_eq!(round(&mut buffers, programs.clock), (vec![], Round::Done));
}

#[test]
fn what_is_later_than_the_look_waits_for_the_next() {
    let (mut programs, mut buffers) = pair(2);
    let first = programs.send(0, Kind::TryToUnmap);
    let now = programs.clock;
    let second = programs.send(1, Kind::TryToUnmap);
    assert_eq!(round(&mut buffers, now), (first.into_iter().collect(), Round::Done));
    assert_eq!(round(&mut buffers, programs.clock).0, second.into_iter().collect::<Vec<_>>());
}

#[test]
fn what_is_later_than_the_look_waits_on_the_same_cpu_too() {
    let (mut programs, mut buffers) = pair(2);
    let first = programs.send(0, Kind::TryToUnmap);
    let now = programs.clock;
    let second = programs.send(0, Kind::TryToUnmap);
    assert_eq!(round(&mut buffers, now).0, first.into_iter().collect::<Vec<_>>());
    assert_eq!(round(&mut buffers, programs.clock).0, second.into_iter().collect::<Vec<_>>());
}

/// A record that begins 16 bytes before the end has its commit word in the slack.
#[test]
fn what_lay_in_the_slack_is_not_taken_for_a_commit() {
    let (mut programs, mut buffers) = pair(1);
    let mut send = |programs: &mut Programs, kind: Kind, number: usize| {
        for _ in 0..number {
            programs.send(0, kind).expect("room");
            round(&mut buffers, programs.clock);
        }
    };
    send(&mut programs, Kind::TryToUnmap, 60);
    send(&mut programs, Kind::MlockFolio, 15);
    send(&mut programs, Kind::TryToUnmap, 2);
    send(&mut programs, Kind::MlockFolio, 83);
    let time = programs.now();
    let open = programs.reserve(0, Kind::TryToUnmap, time).expect("room");
    let value = open.record as usize - programs.memory.start() as usize - HEAD_BYTES;
    assert_eq!(value, BYTES as usize - 16, "the sizes of these records have changed");
    assert_eq!(round(&mut buffers, programs.clock), (vec![], Round::Waiting));
}

#[test]
fn a_record_that_is_not_committed_holds_back_what_is_later() {
    let (mut programs, mut buffers) = pair(2);
    let before = programs.send(1, Kind::TryToUnmap).unwrap();
    let time = programs.now();
    let open = programs.reserve(1, Kind::MlockFolio, time).unwrap();
    let (other, behind) = (programs.send(0, Kind::TryToUnmap), programs.send(1, Kind::TryToUnmap));
    assert_eq!(round(&mut buffers, programs.clock), (vec![before], Round::Waiting));
    programs.commit(open);
    let rest = vec![time, other.unwrap(), behind.unwrap()];
    assert_eq!(round(&mut buffers, programs.clock), (rest, Round::Done));
}

#[test]
fn a_full_buffer_loses_and_goes_on() {
    let (mut programs, mut buffers) = pair(1);
    let most = BYTES as usize / Kind::TryToUnmap.record_size();
    let sent = (0..3 * most).filter_map(|_| programs.send(0, Kind::TryToUnmap)).count();
    assert_eq!(sent, most);
    assert_eq!(round(&mut buffers, programs.clock).0.len(), most);
    assert!(programs.send(0, Kind::TryToUnmap).is_some());
    let counters = buffers.counters();
    let family = Kind::TryToUnmap.family() as usize;
    assert_eq!((counters.emitted[family], counters.lost[family]), (3 * most as u64 + 1, 2 * most as u64));
}

#[test]
fn what_no_program_writes_is_handed_on_once() {
    let (mut programs, mut buffers) = pair(1);
    programs.send(0, Kind::TryToUnmap);
    let time = programs.now();
    let odd = programs.reserve(0, Kind::TryToUnmap, time).unwrap();
    // SAFETY: inside the record.
    unsafe { odd.record.add(COMMIT).cast::<u64>().write(0xffff) };
    assert_eq!(round(&mut buffers, programs.clock).0.len(), 2);
    programs.send(0, Kind::TryToUnmap);
    assert_eq!(round(&mut buffers, programs.clock).0.len(), 1);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Send(u32, Kind),
    Reserve(u32, Kind),
    Commit(usize),
    Look,
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop::sample::select(vec![
        Kind::TryToUnmap,
        Kind::MlockFolio,
        Kind::SwiotlbMapSingle,
        Kind::CopyPageRange,
    ]);
    prop_oneof![
        8 => (0..3_u32, kind.clone()).prop_map(|(cpu, kind)| Step::Send(cpu, kind)),
        1 => (0..3_u32, kind).prop_map(|(cpu, kind)| Step::Reserve(cpu, kind)),
        1 => (0..8_usize).prop_map(Step::Commit),
        1 => Just(Step::Look),
    ]
}

proptest! {
    /// Whatever programs do on whichever CPUs, everything that found room comes once, in the order of time.
    #[test]
    fn nothing_is_missing_and_all_is_in_order(steps in prop::collection::vec(step(), 1..600)) {
        let (mut programs, mut buffers) = pair(3);
        let (mut open, mut sent, mut taken) = (Vec::new(), Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Send(cpu, kind) => sent.extend(programs.send(cpu, kind)),
                Step::Reserve(cpu, kind) => {
                    let time = programs.now();
                    if let Some(reserved) = programs.reserve(cpu, kind, time) {
                        sent.push(time);
                        open.push(reserved);
                    }
                }
                Step::Commit(index) if index < open.len() => programs.commit(open.swap_remove(index)),
                Step::Commit(_) => {}
                Step::Look => taken.extend(round(&mut buffers, programs.clock).0),
            }
        }
        for reserved in open.drain(..) {
            programs.commit(reserved);
        }
        let (rest, end) = round(&mut buffers, u64::MAX);
        taken.extend(rest);
        prop_assert_eq!(end, Round::Done);
        prop_assert_eq!(taken, sent);
    }
}
