//! The first bytes of the file: magic, version, and length and checksum of the header that follows.

use super::error::ReadError;
use super::foreign;

/// The first bytes of every trace file. A transfer that drops bit 7 or changes line ends breaks them.
pub const MAGIC: [u8; 8] = *b"\x8fRMAPS\r\n";

/// Version of the format. A reader refuses a higher major version; a higher minor version only adds what a
/// reader may ignore.
pub const MAJOR: u16 = 1;
/// See [`MAJOR`].
pub const MINOR: u16 = 0;

/// Bytes of the preamble.
pub const SIZE: usize = 20;

/// Longest header that is read.
pub const HEADER_MAX: usize = 4 << 20;

/// Where the checksum is.
const CHECKSUM_AT: usize = 16;

/// The preamble of a header.
pub fn encode(header: &[u8]) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..10].copy_from_slice(&MAJOR.to_le_bytes());
    bytes[10..12].copy_from_slice(&MINOR.to_le_bytes());
    // The caller keeps to HEADER_MAX.
    bytes[12..16].copy_from_slice(&(header.len() as u32).to_le_bytes());
    let checksum = checksum(&bytes, header);
    bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The length of the header behind a preamble. `bytes` are the first of the file, fewer than [`SIZE`] only
/// when the file has no more.
///
/// # Errors
/// When this is no trace file, or none that can be read.
pub fn header_length(bytes: &[u8]) -> Result<usize, ReadError> {
    if bytes.is_empty() {
        return Err(ReadError::Empty);
    }
    let compared = bytes.len().min(MAGIC.len());
    if bytes[..compared] != MAGIC[..compared] {
        return Err(ReadError::Foreign(foreign::name(bytes)));
    }
    let Some(bytes) = bytes.first_chunk::<SIZE>() else {
        return Err(ReadError::HeaderCut(bytes.len() as u64));
    };
    let major = u16::from_le_bytes([bytes[8], bytes[9]]);
    if major > MAJOR {
        return Err(ReadError::NewerFormat { found: major, known: MAJOR });
    }
    let length = u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]) as usize;
    if major == 0 || length > HEADER_MAX {
        return Err(ReadError::HeaderDamaged(format!("version {major}, {length} bytes")));
    }
    Ok(length)
}

/// Whether a preamble and the header behind it are as they were written.
pub fn is_intact(preamble: &[u8; SIZE], header: &[u8]) -> bool {
    preamble[CHECKSUM_AT..] == checksum(preamble, header).to_le_bytes()
}

fn checksum(preamble: &[u8; SIZE], header: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&preamble[..CHECKSUM_AT]);
    hasher.update(header);
    hasher.finalize()
}
