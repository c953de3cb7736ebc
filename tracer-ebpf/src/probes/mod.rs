//! What each family's programs read and send, one file a family.

pub mod exclusive;
pub mod fork;
pub mod migrate;
pub mod mlock;
pub mod process;
pub mod rmap;
pub mod swiotlb;
