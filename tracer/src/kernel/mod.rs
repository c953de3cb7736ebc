//! Facts of a kernel: its types, symbols, flags and swap entries.

mod description;

pub use description::{Description, EntryFormatRecord, NamedValue, SwapKind, SwapType};
