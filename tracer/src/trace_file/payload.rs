//! The payload of a frame: what a reader makes of the bytes behind the frame's header.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::frame::{FrameHeader, FrameType, RECORDS_MAX, codec};
use super::header::KindLayout;
use super::members::{Reading, Translation};
use super::records::{Malformed, RecordLayout, Records};
use crate::event::Item;

/// What a payload holds.
pub enum Payload {
    /// Events, which are in [`Decoder::records`].
    Events,
    /// Anything else.
    Items(Vec<Item>),
    /// Something of a later minor version.
    Unknown,
}

/// Why a payload, whole by its checksum, is none that a writer makes.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A codec of no version, or not for this type of frame.
    #[error("unknown codec {0} of a frame")]
    Codec(u8),
    /// Not the length that the frame's header says.
    #[error("a frame's payload has {found} bytes where its header says {expected}")]
    Length {
        /// What there is.
        found: usize,
        /// What the header says.
        expected: u32,
    },
    /// zstd gave up.
    #[error("a frame cannot be decompressed: {0}")]
    Zstd(io::Error),
    /// The records of a frame of events.
    #[error("a frame's events are malformed: {0}")]
    Events(#[from] Malformed),
    /// A line of a frame without events.
    #[error("a line of a frame is malformed: {0}")]
    Line(#[from] serde_json::Error),
    /// Not the number of lines that the frame's header says.
    #[error("a frame has {found} lines where its header says {expected}")]
    Lines {
        /// What there is.
        found: usize,
        /// What the header says.
        expected: u32,
    },
}

/// How a kind's records lie in a file, and what is made of them.
#[derive(Clone, Debug)]
pub struct KindReading {
    name: Arc<str>,
    layout: RecordLayout,
    translation: Option<Translation>,
}

impl KindReading {
    /// For this kind of the file's header.
    pub fn new(kind: &KindLayout) -> Self {
        let (is_known, translation) = match Reading::of(kind) {
            Reading::AsTheyAre => (true, None),
            Reading::Translated(translation) => (true, Some(translation)),
            Reading::Unknown => (false, None),
        };
        let layout = RecordLayout { size: kind.size as usize, is_known };
        Self { name: kind.name.as_str().into(), layout, translation }
    }
}

/// Decodes payloads. Keeps its memory from frame to frame.
pub struct Decoder {
    kinds: HashMap<u16, KindReading>,
    decompressor: zstd::bulk::Decompressor<'static>,
    raw: Vec<u8>,
    records: Records,
}

impl Decoder {
    /// For a file with these kinds of records.
    ///
    /// # Errors
    /// When there is no memory for a decompressor.
    pub fn new(kinds: HashMap<u16, KindReading>) -> io::Result<Self> {
        let decompressor = zstd::bulk::Decompressor::new()?;
        Ok(Self { kinds, decompressor, raw: Vec::new(), records: Records::default() })
    }

    /// The records of the frame of events that was decoded last.
    pub fn records(&mut self) -> &mut Records {
        &mut self.records
    }

    /// Kinds in that frame that this version cannot read: number, name, and how many records.
    pub fn unknown(&self) -> impl Iterator<Item = (u16, Arc<str>, u64)> {
        let named = |(number, count)| Some((number, self.kinds.get(&number)?.name.clone(), u64::from(count)));
        self.records.unknown().filter_map(named)
    }

    /// Decodes the payload behind a frame's header.
    ///
    /// # Errors
    /// When it is none that a writer makes.
    pub fn decode(&mut self, header: &FrameHeader, stored: &[u8]) -> Result<Payload, Fault> {
        let Some(frame_type) = FrameType::from_number(header.frame_type) else { return Ok(Payload::Unknown) };
        let raw = match header.codec {
            codec::PLAIN | codec::COLUMNS => stored,
            codec::ZSTD => {
                // FrameHeader::decode has bounded the length.
                self.raw.resize(header.raw_length as usize, 0);
                let length =
                    self.decompressor.decompress_to_buffer(stored, &mut self.raw[..]).map_err(Fault::Zstd)?;
                &self.raw[..length]
            }
            other => return Err(Fault::Codec(other)),
        };
        if raw.len() != header.raw_length as usize {
            return Err(Fault::Length { found: raw.len(), expected: header.raw_length });
        }
        let items = header.items;
        let layout_of = |kind| self.kinds.get(&kind).map(|kind| kind.layout);
        let translation_of = |kind| self.kinds.get(&kind)?.translation.as_ref();
        Ok(Payload::Items(match (frame_type, header.codec) {
            (FrameType::Events, codec::PLAIN) => {
                self.records.decode_plain(raw, items, layout_of)?;
                self.records.translate(translation_of);
                return Ok(Payload::Events);
            }
            (FrameType::Events, _) => {
                self.records.decode(raw, items, layout_of, RECORDS_MAX)?;
                self.records.translate(translation_of);
                return Ok(Payload::Events);
            }
            (_, codec::COLUMNS) => return Err(Fault::Codec(header.codec)),
            (FrameType::Losses, _) => lines(raw, items, Item::Loss)?,
            (FrameType::Processes, _) => lines(raw, items, Item::Process)?,
            (FrameType::Stacks, _) => lines(raw, items, Item::Stack)?,
            (FrameType::Summary, _) => lines(raw, items, Item::Summary)?,
        }))
    }
}

/// One item from each line.
fn lines<T: DeserializeOwned>(text: &[u8], expected: u32, item: fn(T) -> Item) -> Result<Vec<Item>, Fault> {
    let lines = || text.split_inclusive(|byte| *byte == b'\n');
    let found = lines().count();
    if found != expected as usize {
        return Err(Fault::Lines { found, expected });
    }
    lines().map(|line| Ok(item(serde_json::from_slice(line)?))).collect()
}
