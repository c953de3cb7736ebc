//! What the tests of the trace file share.

#![allow(dead_code, reason = "each test program uses a part")]

use rmapscope::event::{
    Event, Frame as StackFrame, Header, Item, Kind, Loss, LossCause, ProcessEntry, StackEntry, Summary,
};
use rmapscope::kernel::Description;
use rmapscope::trace_file::{Ending, FileHeader, ReadError, Reader, WriteError, Writer};

/// Numbers that look random and are the same in each run (xorshift, Marsaglia 2003).
pub struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn one_in(&mut self, many: u64) -> bool {
        self.next().is_multiple_of(many)
    }

    /// Around `middle`, about normally, with a standard deviation of a quarter of it.
    pub fn around(&mut self, middle: u64) -> u64 {
        let sum: u64 = (0..12).map(|_| self.next() % 1000).sum();
        (middle as f64 * (1.0 + (sum as f64 - 6000.0) / 4000.0)).max(1.0) as u64
    }
}

/// A record of any kind with any body.
pub fn record(kind: Kind, time: u64, noise: &mut Noise) -> Vec<u8> {
    let header = Header {
        time,
        tid: noise.next() as u32,
        pid: noise.next() as u32,
        kind: kind as u16,
        cpu: noise.next() as u16,
        stack: noise.next() as i32,
    };
    let mut record = header.bytes().to_vec();
    while record.len() < kind.record_size() {
        record.extend_from_slice(&noise.next().to_le_bytes());
    }
    record
}

/// Writes records that are one behind the other; those before the first that is malformed are written.
pub fn write<W: std::io::Write>(writer: &mut Writer<W>, mut records: &[u8]) -> Result<(), WriteError> {
    while !records.is_empty() {
        let header = Header::decode(records).expect("a whole header");
        let size = Kind::from_number(header.kind).expect("a kind").record_size();
        let (record, rest) = records.split_at(size.min(records.len()));
        writer.event_bytes(record)?;
        records = rest;
    }
    Ok(())
}

/// What two processes leave that reclaim a GiB: pages in order or at random, with or without latency.
pub fn unmap_records(count: usize, in_order: bool, latency: bool) -> Vec<u8> {
    let mut noise = Noise(88_172_645_463_325_252);
    let mut time = 123_456_789_012_345;
    let mut page = [0x20000_u64, 0x30000];
    let mut task = 0;
    let mut records = Vec::new();
    for _ in 0..count {
        time += noise.around(2500) + if noise.one_in(200) { noise.next() % 60_000 } else { 0 };
        if noise.one_in(40) {
            task ^= 1;
        }
        page[task] = match in_order {
            true if noise.one_in(8) => page[task] + noise.next() % 64,
            true => page[task] + 1,
            false => noise.next() % (1 << 18),
        };
        let id = [4242, 5150][task];
        let cpu = if noise.one_in(300) { 1 - task as u16 } else { task as u16 };
        let header = Header { time, tid: id, pid: id, kind: Kind::TryToUnmap as u16, cpu, stack: -1 };
        let flags = [0x17_ffff_c00a_0009_u64, 0x17_ffff_c00a_0019, 0x17_ffff_c00a_001d, 0x17_ffff_c008_0009];
        records.extend_from_slice(header.bytes());
        records.extend_from_slice(&(0xffff_ea00_0000_0000 + page[task] * 64).to_le_bytes());
        let rare = if noise.one_in(8) { noise.next() as usize % 4 } else { 0 };
        records.extend_from_slice(&flags[rare].to_le_bytes());
        records.extend_from_slice(&u32::from(noise.one_in(100)).to_le_bytes());
        records.extend_from_slice(&0x48_u32.to_le_bytes());
        records.extend_from_slice(&(if latency { noise.around(900) } else { 0 }).to_le_bytes());
    }
    records
}

pub fn header() -> FileHeader {
    FileHeader::new(Description { release: "6.12.0".to_owned(), page_size: 4096, ..Description::default() })
}

/// The same in each run and short, for tests that look at every byte of a file.
pub fn small_header() -> FileHeader {
    let mut header = header();
    header.command_line = vec!["rmapscope".to_owned(), "record".to_owned()];
    header.host = "host".to_owned();
    header.clock.realtime_offset = 1;
    header
        .kinds
        .retain(|kind| kind.number == Kind::TryToUnmap as u16 || kind.number == Kind::ProcessExit as u16);
    header
}

pub fn loss(count: u64, after: u64, before: u64) -> Loss {
    Loss { cause: LossCause::Lost, family: Some(2), count, after, before, kind: None }
}

pub fn stack(id: i32) -> StackEntry {
    let frame = StackFrame {
        address: 0xffff_ffff_8123_4567,
        symbol: Some("try_to_unmap".to_owned()),
        offset: 0x17,
        module: None,
    };
    StackEntry { id, frames: vec![frame; 3] }
}

pub fn process(pid: u32) -> ProcessEntry {
    ProcessEntry { pid, tid: pid, parent: 1, comm: "a\u{1b}\"b\u{fffd}\n".to_owned() }
}

pub fn summary() -> Summary {
    Summary { begin: 1, end: 1_000_000, reason: "SIGINT".to_owned(), ..Summary::default() }
}

pub fn event(record: &[u8]) -> Item {
    Item::Event(Event::decode(record).unwrap())
}

/// A small file with a frame of each type, and what is in it.
pub fn small_file() -> (Vec<u8>, Vec<Item>) {
    let mut noise = Noise(7);
    let mut items = vec![Item::Process(process(1)), Item::Process(process(2)), Item::Stack(stack(3))];
    for time in 10..13 {
        items.push(event(&record(Kind::TryToUnmap, time, &mut noise)));
        items.push(event(&record(Kind::ProcessExit, time, &mut noise)));
    }
    items.push(Item::Loss(loss(9, 12, 20)));
    items.extend((20..28).map(|time| event(&record(Kind::TryToUnmap, time, &mut noise))));
    items.push(Item::Summary(summary()));
    (file(&small_header(), &items), items)
}

pub fn file(header: &FileHeader, items: &[Item]) -> Vec<u8> {
    use rmapscope::event::Sink;
    let mut writer = Writer::new(Vec::new(), header).unwrap();
    for item in items {
        writer.item(item).unwrap();
    }
    writer.flush().unwrap();
    assert_eq!(writer.bytes_written(), writer.get_ref().len() as u64);
    writer.into_inner()
}

pub fn read(bytes: &[u8]) -> Result<(Vec<Item>, Ending), ReadError> {
    let mut reader = Reader::new(bytes)?;
    let mut items = Vec::new();
    while let Some(item) = reader.next_item()? {
        items.push(item);
    }
    assert_eq!(reader.next_item()?, None);
    Ok((items, reader.ending().cloned().expect("the end was reached")))
}

/// Offsets of the frames, and of the end.
pub fn frame_offsets(file: &[u8]) -> Vec<usize> {
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let mut at = 20 + word(12);
    let mut offsets = vec![at];
    while at < file.len() {
        at += 52 + word(at + 16);
        offsets.push(at);
    }
    offsets
}

/// A frame made by hand from docs/trace-file.md.
pub fn frame(
    frame_type: u8,
    codec: u8,
    items: u32,
    raw_length: u32,
    events_before: u64,
    payload: &[u8],
) -> Vec<u8> {
    let mut frame = b"\xf5RMF".to_vec();
    frame.extend_from_slice(&[frame_type, codec, 0, 0]);
    frame.extend_from_slice(&items.to_le_bytes());
    frame.extend_from_slice(&raw_length.to_le_bytes());
    frame.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    frame.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    frame.extend_from_slice(&events_before.to_le_bytes());
    frame.extend_from_slice(&1_u64.to_le_bytes());
    frame.extend_from_slice(&2_u64.to_le_bytes());
    frame.extend_from_slice(&crc32fast::hash(&frame).to_le_bytes());
    frame.extend_from_slice(payload);
    frame
}
