//! Reading a trace file, frame by frame, whatever happened to it.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::error::ReadError;
use super::frame::{self, Fault, FrameHeader, FrameType};
use super::header::FileHeader;
use super::input::Input;
use super::members::MemberPlace;
use super::payload::{Decoder, KindReading, Payload};
use super::preamble;
use super::records::Records;
use crate::Error;
use crate::escape::{escaped, escaped_path};
use crate::event::{Event, Header, Item, Loss, LossCause, Sink};

/// Largest record that a file may have.
const RECORD_MAX: u32 = 64 << 10;

/// Whether a trace file is all there, told at its end. Of several faults the first is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The session ended in order and every frame was read.
    Complete,
    /// Every frame was read, but the session did not end in order: what came last is missing.
    NoSummary,
    /// The file ends inside a frame.
    Truncated {
        /// Where that frame begins.
        offset: u64,
        /// Bytes of it that are there.
        bytes: u64,
    },
    /// A frame is not as it was written. The stream has a [`Loss`] in its place.
    Damaged {
        /// Where.
        offset: u64,
        /// What is wrong.
        what: String,
    },
}

impl std::fmt::Display for Ending {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Complete => formatter.write_str("the trace file is complete"),
            Self::NoSummary => {
                formatter.write_str("the trace file has no summary: the recording did not end in order")
            }
            Self::Truncated { offset, bytes } => {
                write!(formatter, "the trace file is cut {bytes} bytes into the frame at byte {offset}")
            }
            Self::Damaged { offset, what } => {
                write!(formatter, "the trace file is damaged at byte {offset}: {what}")
            }
        }
    }
}

/// One frame, decoded.
#[derive(Debug)]
pub enum Frame<'a> {
    /// Events, in the order of the stream.
    Events(Events<'a>),
    /// Anything but events.
    Items(Vec<Item>),
}

/// The events of one frame.
#[derive(Debug)]
pub struct Events<'a> {
    records: &'a mut Records,
}

impl Events<'_> {
    /// The next record, as it came from a buffer: a header and the body of a known kind.
    #[inline]
    pub fn next_record(&mut self) -> Option<&[u8]> {
        self.records.next()
    }

    /// The next record, decoded.
    #[inline]
    pub fn next_event(&mut self) -> Option<Event> {
        // The frame was checked: it has only records of known kinds and sizes.
        self.records.next().and_then(|record| Event::decode(record).ok())
    }
}

/// A stretch of the file that cannot be read.
#[derive(Clone, Copy, Debug, Default)]
struct Gap {
    /// Events that it is known to have held.
    events: u64,
}

/// What is left of the frame that was read last, in the order of the stream.
#[derive(Debug, Default)]
struct Current {
    /// Items before its events.
    before: VecDeque<Item>,
    /// Whether its events are in the decoder.
    has_events: bool,
    /// Items behind its events.
    after: VecDeque<Item>,
}

/// Reads a trace file from a file or a pipe.
///
/// A frame that is damaged is left out, and a [`Loss`] (cause [`Dropped`](LossCause::Dropped)) stands in
/// its place, with the number of events that are missing there; the number is 0 when only other things
/// than events are missing or when the file ends without telling it. Events of kinds that this version
/// does not know are left out and reported in the same way, by the kind's name in the header.
/// [`ending`](Self::ending) says at the end whether anything is missing.
///
/// Memory is bounded by the limits of a frame, whatever the file says.
pub struct Reader<R> {
    input: Input<R>,
    header: FileHeader,
    decoder: Decoder,
    current: Current,
    /// Events in all frames so far.
    events: u64,
    /// Highest time of an event so far.
    latest_time: u64,
    gap: Option<Gap>,
    fault: Option<Ending>,
    has_summary: bool,
    ending: Option<Ending>,
}

/// Bytes to read a trace file from; `-` is standard input. And how many there are, where that is known before.
///
/// # Errors
/// When it cannot be opened.
pub fn source(path: impl AsRef<Path>) -> Result<(Box<dyn Read>, Option<u64>), ReadError> {
    let path = path.as_ref();
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin().lock()), None));
    }
    let failed = |source| ReadError::Open { path: escaped_path(path), source };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    let length = metadata.is_file().then_some(metadata.len());
    Ok((Box::new(file), length))
}

impl Reader<Box<dyn Read>> {
    /// Opens a trace file and reads its header; `-` is standard input.
    ///
    /// # Errors
    /// When it cannot be opened or is no trace file that can be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        Self::new(source(path)?.0)
    }
}

impl<R: Read> Reader<R> {
    /// Reads the header from any input.
    ///
    /// # Errors
    /// When this is no trace file that can be read.
    pub fn new(source: R) -> Result<Self, ReadError> {
        let mut input = Input::new(source);
        let header = read_header(&mut input)?;
        let decoder = Decoder::new(layouts(&header)?)
            .map_err(|source| ReadError::Io { offset: input.offset(), source })?;
        Ok(Self {
            input,
            header,
            decoder,
            current: Current::default(),
            events: 0,
            latest_time: 0,
            gap: None,
            fault: None,
            has_summary: false,
            ending: None,
        })
    }

    /// The header of the file.
    pub fn header(&self) -> &FileHeader {
        &self.header
    }

    /// Whether the file was all there; `None` before its end was reached.
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// The next item, in the order of the stream; `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read on. Damage is no error: see [`ending`](Self::ending).
    pub fn next_item(&mut self) -> Result<Option<Item>, ReadError> {
        loop {
            if let Some(item) = self.current.before.pop_front() {
                return Ok(Some(item));
            }
            if self.current.has_events {
                if let Some(event) = (Events { records: self.decoder.records() }).next_event() {
                    return Ok(Some(Item::Event(event)));
                }
                self.current.has_events = false;
            }
            if let Some(item) = self.current.after.pop_front() {
                return Ok(Some(item));
            }
            if !self.advance()? {
                return Ok(None);
            }
        }
    }

    /// All events of the next frame, or what stands between such frames; `None` at the end.
    ///
    /// # Errors
    /// As [`next_item`](Self::next_item).
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, ReadError> {
        loop {
            if !self.current.before.is_empty() {
                return Ok(Some(Frame::Items(self.current.before.drain(..).collect())));
            }
            if std::mem::take(&mut self.current.has_events) {
                return Ok(Some(Frame::Events(Events { records: self.decoder.records() })));
            }
            if !self.current.after.is_empty() {
                return Ok(Some(Frame::Items(self.current.after.drain(..).collect())));
            }
            if !self.advance()? {
                return Ok(None);
            }
        }
    }

    /// Gives everything to `sink`, until it has [enough](Sink::enough). The answer says why the stream is not whole: the
    /// file is cut or damaged, could not be read on, or `sink` had enough.
    ///
    /// # Errors
    /// When `sink` cannot take it.
    pub fn drive(&mut self, sink: &mut impl Sink) -> Result<Option<String>, Error> {
        loop {
            match self.next_frame() {
                Ok(Some(Frame::Events(mut events))) => {
                    while let Some(record) = events.next_record() {
                        sink.record(record)?;
                    }
                }
                Ok(Some(Frame::Items(items))) => items.iter().try_for_each(|item| sink.item(item))?,
                Ok(None) => {
                    return Ok(match self.ending() {
                        Some(Ending::Complete) => None,
                        ending => Some(ending.unwrap_or(&Ending::NoSummary).to_string()),
                    });
                }
                Err(error) => return Ok(Some(error.to_string())),
            }
            if let Some(reason) = sink.enough() {
                return Ok(Some(format!("reading ended at {reason}")));
            }
        }
    }

    /// Reads the next frame that can be read into `current`; `false` at the end.
    fn advance(&mut self) -> Result<bool, ReadError> {
        while self.ending.is_none() {
            let offset = self.input.offset();
            let io = |source| ReadError::Io { offset, source };
            let bytes = self.input.peek(frame::SIZE).map_err(io)?;
            if bytes.is_empty() {
                self.end();
                break;
            }
            if self.has_summary {
                self.damage(offset, "there are bytes after the summary");
                self.end();
                break;
            }
            let Some(header) = bytes.first_chunk() else {
                let length = bytes.len();
                let compared = length.min(frame::MAGIC.len());
                if bytes[..compared] == frame::MAGIC[..compared] {
                    self.cut(offset, length);
                } else {
                    self.damage(offset, Fault::Magic);
                    self.gap.get_or_insert_default();
                }
                self.end();
                break;
            };
            match FrameHeader::decode(header) {
                Ok(header) => {
                    if self.read_frame(&header, offset)? {
                        return Ok(true);
                    }
                }
                Err(fault) => {
                    self.damage(offset, fault);
                    self.gap.get_or_insert_default();
                    self.find_frame()?;
                }
            }
        }
        Ok(!self.current.before.is_empty())
    }

    /// Reads the frame of this header; `false` when it gives nothing.
    fn read_frame(&mut self, header: &FrameHeader, offset: u64) -> Result<bool, ReadError> {
        self.place(header, offset);
        let length = frame::SIZE + header.stored_length as usize;
        let bytes = self.input.peek(length).map_err(|source| ReadError::Io { offset, source })?;
        let Some(payload) = bytes.get(frame::SIZE..length) else {
            let length = bytes.len();
            self.cut(offset, length);
            self.end();
            return Ok(!self.current.before.is_empty());
        };
        let repeated = header.events_before < self.events;
        let result = if repeated {
            Err("a frame is duplicated or out of order".to_owned())
        } else if crc32fast::hash(payload) != header.payload_checksum {
            Err("the checksum of a frame's payload is wrong".to_owned())
        } else {
            self.decoder.decode(header, payload).map_err(|fault| fault.to_string())
        };
        self.input.skip(length);
        match result {
            Ok(payload) => self.accept(header, payload),
            Err(what) => {
                self.damage(offset, what);
                if !repeated {
                    let is_events = header.frame_type == FrameType::Events as u8;
                    let gap = self.gap.get_or_insert_default();
                    gap.events += if is_events { u64::from(header.items) } else { 0 };
                }
            }
        }
        let Current { before, has_events, after } = &self.current;
        Ok(*has_events || !before.is_empty() || !after.is_empty())
    }

    fn accept(&mut self, header: &FrameHeader, payload: Payload) {
        match payload {
            Payload::Events => {
                self.events += u64::from(header.items);
                self.latest_time = self.latest_time.max(header.last_time);
                self.current.has_events = true;
                let mut unknown: Vec<_> = self.decoder.unknown().collect();
                unknown.sort_unstable();
                self.current.after.extend(unknown.into_iter().map(|(number, name, count)| {
                    Item::Loss(Loss {
                        cause: LossCause::Dropped,
                        family: Some((number >> 8) as u8),
                        count,
                        after: header.first_time,
                        before: header.last_time,
                        kind: Some(name),
                    })
                }));
            }
            Payload::Items(items) => {
                self.has_summary = header.frame_type == FrameType::Summary as u8;
                self.current.before.extend(items);
            }
            Payload::Unknown => {}
        }
    }

    /// Compares the number of events before a frame with those that were read, and reports what is missing.
    fn place(&mut self, header: &FrameHeader, offset: u64) {
        let missing = header.events_before.saturating_sub(self.events);
        if missing > 0 && self.gap.is_none() {
            self.damage(offset, format_args!("{missing} events are missing before this frame"));
            self.gap = Some(Gap::default());
        }
        if self.gap.take().is_some() {
            // Times of 0 are of frames that have none.
            let before = if header.first_time == 0 { u64::MAX } else { header.first_time };
            self.report(missing, before);
        }
        self.events += missing;
    }

    fn report(&mut self, count: u64, before: u64) {
        let cause = LossCause::Dropped;
        let loss = Loss { cause, family: None, count, after: self.latest_time, before, kind: None };
        self.current.before.push_back(Item::Loss(loss));
    }

    fn damage(&mut self, offset: u64, what: impl std::fmt::Display) {
        self.fault.get_or_insert_with(|| Ending::Damaged { offset, what: what.to_string() });
    }

    fn cut(&mut self, offset: u64, bytes: usize) {
        self.fault.get_or_insert(Ending::Truncated { offset, bytes: bytes as u64 });
    }

    fn end(&mut self) {
        if let Some(gap) = self.gap.take() {
            self.report(gap.events, u64::MAX);
        }
        let whole = if self.has_summary { Ending::Complete } else { Ending::NoSummary };
        self.ending = Some(self.fault.take().unwrap_or(whole));
    }

    /// Goes on to the next place where a frame may begin, at least one byte from here.
    fn find_frame(&mut self) -> Result<(), ReadError> {
        self.input.skip(1);
        loop {
            let offset = self.input.offset();
            let bytes = self.input.peek(frame::SIZE).map_err(|source| ReadError::Io { offset, source })?;
            if bytes.len() < frame::SIZE {
                // No room for a whole header: what is left belongs to the gap.
                let length = bytes.len();
                self.input.skip(length);
                return Ok(());
            }
            let found = bytes.windows(frame::MAGIC.len()).position(|window| window == frame::MAGIC);
            let length = bytes.len();
            self.input.skip(found.unwrap_or(length + 1 - frame::MAGIC.len()));
            if found.is_some() {
                return Ok(());
            }
        }
    }
}

fn read_header<R: Read>(input: &mut Input<R>) -> Result<FileHeader, ReadError> {
    let io = |source| ReadError::Io { offset: 0, source };
    let length = preamble::header_length(input.peek(preamble::SIZE).map_err(io)?)?;
    let bytes = input.peek(preamble::SIZE + length).map_err(io)?;
    let cut = ReadError::HeaderCut(bytes.len() as u64);
    let Some((preamble, rest)) = bytes.split_first_chunk() else { return Err(cut) };
    let Some(text) = rest.get(..length) else { return Err(cut) };
    if !preamble::is_intact(preamble, text) {
        return Err(ReadError::HeaderDamaged("its checksum is wrong".to_owned()));
    }
    // Looked at first: the rest of a later version's header may not be understood.
    let damaged = |error: serde_json::Error| ReadError::HeaderDamaged(error.to_string());
    let Version { event_format: found } = serde_json::from_slice(text).map_err(damaged)?;
    if found > tracer_common::FORMAT_VERSION {
        return Err(ReadError::NewerEvents { found, known: tracer_common::FORMAT_VERSION });
    }
    let header = serde_json::from_slice(text).map_err(damaged)?;
    input.skip(preamble::SIZE + length);
    Ok(header)
}

/// The one field of a header that decides whether the others can be understood.
#[derive(serde::Deserialize)]
struct Version {
    event_format: u32,
}

fn layouts(header: &FileHeader) -> Result<HashMap<u16, KindReading>, ReadError> {
    let mut layouts = HashMap::new();
    for kind in &header.kinds {
        let (number, size) = (kind.number, kind.size);
        if size % 8 != 0 || size < size_of::<Header>() as u32 || size > RECORD_MAX {
            return Err(ReadError::HeaderDamaged(format!("records of kind {number:#06x} have {size} bytes")));
        }
        let body = size - size_of::<Header>() as u32;
        let lies_beyond = |member: &&MemberPlace| member.1.checked_add(member.2).is_none_or(|end| end > body);
        if let Some(member) = kind.members.iter().find(lies_beyond) {
            let name = escaped(&member.0);
            return Err(ReadError::HeaderDamaged(format!(
                "`{name}` is not in a record of kind {number:#06x}"
            )));
        }
        if layouts.insert(number, KindReading::new(kind)).is_some() {
            return Err(ReadError::HeaderDamaged(format!("kind {number:#06x} is listed twice")));
        }
    }
    Ok(layouts)
}
