//! Writing a trace file, frame by frame.

use std::collections::HashSet;
use std::io::Write;
use std::mem::offset_of;
use std::path::Path;

use serde::Serialize;
use tracer_common::event::{Header, Kind, MAX_RECORD_SIZE};

use super::collector::Collector;
use super::error::{CreateError, WriteError};
use super::frame::{self, FrameHeader, FrameType, codec};
use super::header::FileHeader;
use super::output::Output;
use super::preamble;
use crate::Error;
use crate::event::{Event, Item, Loss, MalformedRecord, ProcessEntry, Run, Sink, StackEntry, Summary};

/// Text of a frame without events that ends it.
const TEXT_ENOUGH: usize = 256 << 10;

/// zstd's fastest regular level. Columns are packed so tightly that higher ones gain nothing (measured).
const ZSTD_LEVEL: i32 = 1;

/// Every so many frames of events, zstd is tried on the columns: on pieces from all over them, because the whole would
/// cost a third of what all else does with the events of that frame.
const ZSTD_TRIAL_PERIOD: u32 = 16;
const ZSTD_TRIAL_PIECES: usize = 16;
const ZSTD_TRIAL_PIECE: usize = 512;

/// zstd stays on until the next trial when it leaves no more than this many quarters: it costs about half
/// as many instructions as all the rest.
const ZSTD_WORTH_QUARTERS: usize = 3;

const _: () = assert!(frame::EVENTS_MAX as usize * MAX_RECORD_SIZE <= frame::RECORDS_MAX);

/// The place of a kind in the collector.
#[derive(Clone, Copy, Debug)]
struct KindEntry {
    handle: u16,
    /// 0 for a number that is no kind.
    size: u16,
}

/// Lines of one type that wait for their frame.
#[derive(Debug, Default)]
struct Lines {
    text: Vec<u8>,
    count: u32,
    first_time: u64,
    last_time: u64,
}

impl Lines {
    fn push<T: Serialize>(&mut self, item: &T, first_time: u64, last_time: u64) -> Result<(), WriteError> {
        let before = self.text.len();
        serde_json::to_writer(&mut self.text, item)?;
        self.text.push(b'\n');
        if self.text.len() > frame::TEXT_MAX {
            let size = self.text.len() - before;
            self.text.truncate(before);
            return Err(WriteError::TooLarge { what: "an item", size });
        }
        self.first_time = if self.count == 0 { first_time } else { self.first_time.min(first_time) };
        self.last_time = self.last_time.max(last_time);
        self.count += 1;
        Ok(())
    }
}

/// Writes a trace file.
///
/// Items keep their order, except that a stack may come earlier than it was given: it is written before the
/// frame of events that was open then, so that stacks do not cut events into many small frames.
///
/// Frames end by themselves at 65,536 events. [`flush`](Self::flush) ends one early; a session does so
/// about once a second. After a failed write the file is complete up to the last whole frame and takes no
/// more. Without [`finish`](Self::finish) a reader reports that the end is missing.
pub struct Writer<W: Write> {
    output: W,
    kinds: Vec<KindEntry>,
    collector: Collector,
    /// Lowest time in the open frame of events.
    first_time: u64,
    /// Highest time in it.
    last_time: u64,
    /// Highest time in the frames before.
    latest_time: u64,
    /// Losses or processes, whichever `pending_type` says.
    pending: Lines,
    pending_type: FrameType,
    stacks: Lines,
    known_stacks: HashSet<i32>,
    compressor: zstd::bulk::Compressor<'static>,
    raw: Vec<u8>,
    frame: Vec<u8>,
    /// Frames of events until zstd is tried again.
    until_trial: u32,
    zstd_pays: bool,
    /// Events in written frames.
    events_before: u64,
    bytes_written: u64,
    ended: bool,
}

impl Writer<Output> {
    /// Creates the trace file as [`Output::open`] says, with mode 0600, and writes its header.
    ///
    /// # Errors
    /// When the file cannot be created or written, or something else is in its place.
    pub fn create(path: impl AsRef<Path>, header: &FileHeader) -> Result<Self, CreateError> {
        Ok(Self::new(Output::open(path.as_ref())?, header)?)
    }
}

impl<W: Write> Writer<W> {
    /// Writes to any output, each frame with one `write_all`, beginning with the header.
    ///
    /// # Errors
    /// When the output fails.
    pub fn new(output: W, header: &FileHeader) -> Result<Self, WriteError> {
        let mut collector = Collector::new();
        let numbers = Kind::ALL.iter().map(|kind| *kind as usize);
        let mut kinds =
            vec![KindEntry { handle: 0, size: 0 }; numbers.max().map_or(0, |highest| highest + 1)];
        for kind in Kind::ALL {
            let size = kind.record_size();
            let handle = collector.add_kind(*kind as u16, size);
            kinds[*kind as usize] = KindEntry { handle, size: size as u16 };
        }
        let mut writer = Self {
            output,
            kinds,
            collector,
            first_time: u64::MAX,
            last_time: 0,
            latest_time: 0,
            pending: Lines::default(),
            pending_type: FrameType::Processes,
            stacks: Lines::default(),
            known_stacks: HashSet::new(),
            compressor: zstd::bulk::Compressor::new(ZSTD_LEVEL).map_err(WriteError::Zstd)?,
            raw: Vec::new(),
            frame: Vec::new(),
            until_trial: 0,
            zstd_pays: false,
            events_before: 0,
            bytes_written: 0,
            ended: false,
        };
        let header = serde_json::to_vec(header)?;
        if header.len() > preamble::HEADER_MAX {
            return Err(WriteError::TooLarge { what: "the header", size: header.len() });
        }
        writer.frame.extend_from_slice(&preamble::encode(&header));
        writer.frame.extend_from_slice(&header);
        writer.write_frame()?;
        Ok(writer)
    }

    /// Takes one record as it came from a buffer.
    ///
    /// # Errors
    /// When it is no whole record of a known kind (the writer goes on then), or the output fails.
    #[inline]
    pub fn event_bytes(&mut self, record: &[u8]) -> Result<(), WriteError> {
        let kind = record.get(offset_of!(Header, kind)..).and_then(<[u8]>::first_chunk);
        let kind = kind.ok_or_else(|| malformed(record))?;
        self.run_bytes(Run::new(u16::from_le_bytes(*kind), record.len(), record))
    }

    /// Takes several as they came from a buffer.
    ///
    /// # Errors
    /// As [`event_bytes`](Self::event_bytes); the run is not taken then.
    fn run_bytes(&mut self, run: Run<'_>) -> Result<(), WriteError> {
        let entry = match self.kinds.get(usize::from(run.kind())) {
            Some(entry) if usize::from(entry.size) == run.size() => *entry,
            _ => return Err(malformed(run.bytes())),
        };
        if self.pending.count > 0 {
            self.end_lines()?;
        }
        let mut rest = run.bytes();
        while !rest.is_empty() {
            let room = (frame::EVENTS_MAX - self.collector.count()) as usize;
            let (records, later) = rest.split_at(rest.len().min(room * run.size()));
            rest = later;
            for record in records.chunks_exact(run.size()) {
                let time = u64::from_le_bytes(*record.first_chunk().unwrap_or(&[0; 8]));
                self.first_time = self.first_time.min(time);
                self.last_time = self.last_time.max(time);
            }
            self.collector.push_run(entry.handle, records, run.size());
            if self.collector.count() == frame::EVENTS_MAX {
                self.end_events()?;
            }
        }
        Ok(())
    }

    /// Takes one decoded event.
    ///
    /// # Errors
    /// When the output fails.
    pub fn event(&mut self, event: &Event) -> Result<(), WriteError> {
        let (header, body) = (event.header.bytes(), event.body.bytes());
        let mut record = [0; MAX_RECORD_SIZE];
        record[..header.len()].copy_from_slice(header);
        record[header.len()..][..body.len()].copy_from_slice(body);
        self.event_bytes(&record[..header.len() + body.len()])
    }

    /// Takes a loss.
    ///
    /// # Errors
    /// When the output fails.
    pub fn loss(&mut self, loss: &Loss) -> Result<(), WriteError> {
        self.line(FrameType::Losses, loss, loss.after, loss.before)
    }

    /// Takes a thread that lived when the session began.
    ///
    /// # Errors
    /// When the output fails.
    pub fn process(&mut self, process: &ProcessEntry) -> Result<(), WriteError> {
        self.line(FrameType::Processes, process, 0, 0)
    }

    /// Takes a stack; it must come before the first event that names it.
    ///
    /// # Errors
    /// When the output fails.
    pub fn stack(&mut self, stack: &StackEntry) -> Result<(), WriteError> {
        if !self.known_stacks.insert(stack.id) {
            // The id has another meaning from here on: the events so far must stay before it.
            self.flush()?;
        }
        self.stacks.push(stack, 0, 0)?;
        if self.stacks.text.len() >= TEXT_ENOUGH {
            self.end_stacks()?;
        }
        Ok(())
    }

    /// Ends the open frame, so that everything taken so far is in the file.
    ///
    /// # Errors
    /// When the output fails.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        self.end_lines()?;
        self.end_events()?;
        self.end_stacks()
    }

    /// Writes the summary, which makes the file complete, and waits until a regular file is on its disk.
    ///
    /// # Errors
    /// When the output fails.
    pub fn finish(&mut self, summary: &Summary) -> Result<(), WriteError> {
        self.flush()?;
        let mut line = Lines::default();
        line.push(summary, summary.begin, summary.end)?;
        self.write_lines(FrameType::Summary, &mut line)?;
        self.ended = true;
        self.output.flush().map_err(|source| WriteError::Io { written: self.bytes_written, source })
    }

    /// Bytes of the file so far, without the open frame.
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written
    }

    /// Events taken so far.
    pub fn events(&self) -> u64 {
        self.events_before + u64::from(self.collector.count())
    }

    /// The output so far.
    pub fn get_ref(&self) -> &W {
        &self.output
    }

    /// The output; the open frame is lost.
    pub fn into_inner(self) -> W {
        self.output
    }

    fn line<T: Serialize>(
        &mut self,
        frame_type: FrameType,
        item: &T,
        first_time: u64,
        last_time: u64,
    ) -> Result<(), WriteError> {
        self.end_events()?;
        if self.pending_type != frame_type {
            self.end_lines()?;
            self.pending_type = frame_type;
        }
        self.pending.push(item, first_time, last_time)?;
        if self.pending.text.len() >= TEXT_ENOUGH { self.end_lines() } else { Ok(()) }
    }

    fn end_lines(&mut self) -> Result<(), WriteError> {
        let mut lines = std::mem::take(&mut self.pending);
        let result = self.write_lines(self.pending_type, &mut lines);
        self.pending = lines;
        result
    }

    /// Stacks get the times of the events that were taken beside them: a reader that misses events around
    /// them learns when that was.
    fn end_stacks(&mut self) -> Result<(), WriteError> {
        let mut lines = std::mem::take(&mut self.stacks);
        (lines.first_time, lines.last_time) = match self.collector.count() {
            0 => (self.latest_time, self.latest_time),
            _ => (self.first_time, self.last_time),
        };
        let result = self.write_lines(FrameType::Stacks, &mut lines);
        self.stacks = lines;
        result
    }

    /// Writes the frame of these lines, if there are any, and empties them.
    fn write_lines(&mut self, frame_type: FrameType, lines: &mut Lines) -> Result<(), WriteError> {
        if lines.count == 0 {
            return Ok(());
        }
        let header = FrameHeader {
            frame_type: frame_type as u8,
            codec: codec::ZSTD,
            items: lines.count,
            raw_length: lines.text.len() as u32,
            stored_length: 0,
            payload_checksum: 0,
            events_before: self.events_before,
            first_time: lines.first_time,
            last_time: lines.last_time,
        };
        self.compress(&lines.text)?;
        lines.text.clear();
        (lines.count, lines.last_time) = (0, 0);
        self.end_frame(header)
    }

    #[inline(never)]
    fn end_events(&mut self) -> Result<(), WriteError> {
        let items = self.collector.count();
        if items == 0 {
            return Ok(());
        }
        self.end_stacks()?;
        let mut raw = std::mem::take(&mut self.raw);
        raw.clear();
        self.collector.finish(&mut raw);
        if self.until_trial == 0 {
            self.until_trial = ZSTD_TRIAL_PERIOD;
            self.zstd_pays = self.would_zstd_pay(&raw)?;
        }
        self.until_trial -= 1;
        let mut codec = codec::COLUMNS;
        if self.zstd_pays {
            self.compress(&raw)?;
            if self.frame.len() - frame::SIZE < raw.len() {
                codec = codec::ZSTD;
            }
        }
        if codec == codec::COLUMNS {
            self.frame.clear();
            self.frame.resize(frame::SIZE, 0);
            self.frame.extend_from_slice(&raw);
        }
        let header = FrameHeader {
            frame_type: FrameType::Events as u8,
            codec,
            items,
            raw_length: raw.len() as u32,
            stored_length: 0,
            payload_checksum: 0,
            events_before: self.events_before,
            first_time: self.first_time,
            last_time: self.last_time,
        };
        self.raw = raw;
        self.latest_time = self.latest_time.max(self.last_time);
        (self.first_time, self.last_time) = (u64::MAX, 0);
        self.end_frame(header)?;
        self.events_before += u64::from(items);
        Ok(())
    }

    /// Whether zstd makes these columns so much smaller that it is worth its cost.
    fn would_zstd_pay(&mut self, raw: &[u8]) -> Result<bool, WriteError> {
        let apart = (raw.len() / ZSTD_TRIAL_PIECES).max(ZSTD_TRIAL_PIECE);
        let pieces = raw.chunks(apart).map(|chunk| &chunk[..chunk.len().min(ZSTD_TRIAL_PIECE)]);
        let sample: Vec<u8> = pieces.flatten().copied().collect();
        self.compress(&sample)?;
        Ok((self.frame.len() - frame::SIZE) * 4 <= sample.len() * ZSTD_WORTH_QUARTERS)
    }

    /// Makes `frame` room for a header and these bytes, compressed.
    fn compress(&mut self, raw: &[u8]) -> Result<(), WriteError> {
        let bound = zstd::zstd_safe::compress_bound(raw.len());
        self.frame.clear();
        self.frame.resize(frame::SIZE + bound, 0);
        let stored = self
            .compressor
            .compress_to_buffer(raw, &mut self.frame[frame::SIZE..])
            .map_err(WriteError::Zstd)?;
        self.frame.truncate(frame::SIZE + stored);
        Ok(())
    }

    /// Completes the header of the payload in `frame` and writes both.
    fn end_frame(&mut self, mut header: FrameHeader) -> Result<(), WriteError> {
        let (room, payload) = self.frame.split_at_mut(frame::SIZE);
        header.stored_length = payload.len() as u32;
        header.payload_checksum = crc32fast::hash(payload);
        room.copy_from_slice(&header.encode());
        self.write_frame()
    }

    fn write_frame(&mut self) -> Result<(), WriteError> {
        if self.ended {
            return Err(WriteError::Ended);
        }
        if let Err(source) = self.output.write_all(&self.frame) {
            self.ended = true;
            return Err(WriteError::Io { written: self.bytes_written, source });
        }
        self.bytes_written += self.frame.len() as u64;
        Ok(())
    }
}

impl<W: Write> Sink for Writer<W> {
    #[inline]
    fn record(&mut self, record: &[u8]) -> Result<(), Error> {
        Ok(self.event_bytes(record)?)
    }

    fn run(&mut self, run: Run<'_>) -> Result<(), Error> {
        Ok(self.run_bytes(run)?)
    }

    fn item(&mut self, item: &Item) -> Result<(), Error> {
        Ok(match item {
            Item::Event(event) => self.event(event),
            Item::Loss(loss) => self.loss(loss),
            Item::Process(process) => self.process(process),
            Item::Stack(stack) => self.stack(stack),
            Item::Summary(summary) => self.finish(summary),
        }?)
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(self.flush()?)
    }
}

#[cold]
fn malformed(record: &[u8]) -> WriteError {
    let reason = Event::decode(record).err();
    WriteError::Malformed(reason.unwrap_or(MalformedRecord::NoHeader(record.len())))
}
