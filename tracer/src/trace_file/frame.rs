//! The header of each frame.

use bytes::{Buf, BufMut};

/// First bytes of a frame. The first one never occurs in UTF-8 text.
pub const MAGIC: [u8; 4] = *b"\xf5RMF";

/// Bytes of a frame's header.
pub const SIZE: usize = 52;

/// Where the header's own checksum is.
const CHECKSUM_AT: usize = 48;

/// Most events in a frame.
pub const EVENTS_MAX: u32 = 1 << 16;

/// Most bytes of all records of a frame together.
pub const RECORDS_MAX: usize = 16 << 20;

/// Most bytes of a frame's payload, stored or uncompressed.
pub const PAYLOAD_MAX: usize = 16 << 20;

/// Most bytes of the text of a frame that holds no events.
pub const TEXT_MAX: usize = 4 << 20;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameType {
    /// Records.
    Events = 1,
    /// Lines of `Loss`.
    Losses = 2,
    /// Lines of `ProcessEntry`.
    Processes = 3,
    /// Lines of `StackEntry`.
    Stacks = 4,
    /// One line of `Summary`; the last frame.
    Summary = 5,
}

impl FrameType {
    const ALL: [Self; 5] = [Self::Events, Self::Losses, Self::Processes, Self::Stacks, Self::Summary];

    /// The type of that number; `None` for one of a later minor version.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// How a payload is stored.
pub mod codec {
    /// Records or lines as they are.
    pub const PLAIN: u8 = 0;
    /// Records as columns, or lines as they are; then zstd.
    pub const ZSTD: u8 = 1;
    /// Records as columns.
    pub const COLUMNS: u8 = 2;
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// A [`FrameType`] as its number.
    pub frame_type: u8,
    /// One of [`codec`].
    pub codec: u8,
    /// Records or lines.
    pub items: u32,
    /// Bytes of the payload before zstd; the same as `stored_length` without it.
    pub raw_length: u32,
    /// Bytes of the payload as it is in the file.
    pub stored_length: u32,
    /// CRC-32 of the payload as it is in the file.
    pub payload_checksum: u32,
    /// Events in all frames before this one.
    pub events_before: u64,
    /// Lowest time of its items, in nanoseconds; 0 when they have none.
    pub first_time: u64,
    /// Highest time of its items.
    pub last_time: u64,
}

/// Why bytes are not the header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Another beginning.
    #[error("no frame begins here")]
    Magic,
    /// The header's checksum.
    #[error("the checksum of a frame's header is wrong")]
    Checksum,
    /// Lengths that no writer gives.
    #[error("a frame's header has impossible lengths")]
    Lengths,
}

impl FrameHeader {
    /// The bytes of the header.
    pub fn encode(&self) -> [u8; SIZE] {
        let mut bytes = [0u8; SIZE];
        let mut place = &mut bytes[..CHECKSUM_AT];
        place.put_slice(&MAGIC);
        place.put_u8(self.frame_type);
        place.put_u8(self.codec);
        place.put_u16_le(0);
        place.put_u32_le(self.items);
        place.put_u32_le(self.raw_length);
        place.put_u32_le(self.stored_length);
        place.put_u32_le(self.payload_checksum);
        place.put_u64_le(self.events_before);
        place.put_u64_le(self.first_time);
        place.put_u64_le(self.last_time);
        let checksum = crc32fast::hash(&bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Decodes a header.
    ///
    /// # Errors
    /// When the bytes are none, or not as they were written.
    pub fn decode(bytes: &[u8; SIZE]) -> Result<Self, Fault> {
        if bytes[..4] != MAGIC {
            return Err(Fault::Magic);
        }
        if bytes[CHECKSUM_AT..] != crc32fast::hash(&bytes[..CHECKSUM_AT]).to_le_bytes() {
            return Err(Fault::Checksum);
        }
        // Behind the magic, in the order in which they are written.
        let mut rest = &bytes[MAGIC.len()..];
        let (frame_type, codec) = (rest.get_u8(), rest.get_u8());
        rest.advance(2);
        let header = Self {
            frame_type,
            codec,
            items: rest.get_u32_le(),
            raw_length: rest.get_u32_le(),
            stored_length: rest.get_u32_le(),
            payload_checksum: rest.get_u32_le(),
            events_before: rest.get_u64_le(),
            first_time: rest.get_u64_le(),
            last_time: rest.get_u64_le(),
        };
        let longest = if header.frame_type == FrameType::Events as u8 { PAYLOAD_MAX } else { TEXT_MAX };
        let lengths = [header.raw_length, header.stored_length];
        if lengths.iter().any(|length| *length as usize > longest) {
            return Err(Fault::Lengths);
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: FrameHeader = FrameHeader {
        frame_type: FrameType::Losses as u8,
        codec: codec::PLAIN,
        items: 3,
        raw_length: 300,
        stored_length: 200,
        payload_checksum: 0x1234_5678,
        events_before: 1 << 40,
        first_time: 5,
        last_time: u64::MAX,
    };

    #[test]
    fn a_header_comes_back_and_no_bit_of_it_is_unused() {
        let bytes = HEADER.encode();
        assert_eq!(FrameHeader::decode(&bytes), Ok(HEADER));
        for bit in 0..SIZE * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(FrameHeader::decode(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn lengths_have_limits() {
        let too_long = FrameHeader { stored_length: TEXT_MAX as u32 + 1, ..HEADER };
        assert_eq!(FrameHeader::decode(&too_long.encode()), Err(Fault::Lengths));
        let events = FrameHeader { frame_type: FrameType::Events as u8, ..too_long };
        assert_eq!(FrameHeader::decode(&events.encode()), Ok(events));
    }
}
