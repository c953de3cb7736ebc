//! What can be wrong with a BTF file.

use std::path::PathBuf;

use thiserror::Error;

/// Why a BTF file cannot be used.
#[derive(Debug, Error)]
pub enum BtfError {
    /// It cannot be read.
    #[error("cannot read BTF from {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// It is larger than any kernel's.
    #[error("the BTF file has {bytes} bytes, more than any kernel's")]
    TooLarge {
        /// Its length.
        bytes: u64,
    },
    /// It is something else.
    #[error("not a BTF file (its first two bytes are not 9f eb)")]
    NotBtf,
    /// It is of a machine with the other byte order.
    #[error("the BTF is big-endian; only little-endian kernels are supported")]
    ForeignByteOrder,
    /// It is of a format that does not exist yet.
    #[error("unknown BTF version {version}")]
    UnknownVersion {
        /// Its version.
        version: u8,
    },
    /// It ends too early, or a length in it is wrong.
    #[error("the BTF is cut short or damaged: {what} does not fit into it")]
    Truncated {
        /// What does not fit.
        what: &'static str,
    },
    /// A type is of a kind whose length nobody knows yet.
    #[error("unknown BTF kind {kind} (at byte {offset} of the types)")]
    UnknownKind {
        /// Its number.
        kind: u32,
        /// Where.
        offset: usize,
    },
    /// A name lies outside the strings.
    #[error("the BTF is damaged: type {type_id} has a name outside the strings")]
    BadName {
        /// Which type.
        type_id: u32,
    },
    /// A type refers to one that does not exist.
    #[error("the BTF is damaged: type {type_id} refers to a type that does not exist")]
    BadReference {
        /// Which type.
        type_id: u32,
    },
    /// A type consists of itself.
    #[error("the BTF is damaged: type {type_id} consists of itself")]
    Cyclic {
        /// Which type.
        type_id: u32,
    },
}
