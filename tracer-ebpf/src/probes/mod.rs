//! What each family's programs read and send, one file a family.

pub mod dma;
pub mod exclusive;
pub mod fork;
mod fork_scan;
pub mod hmm;
mod hmm_entries;
mod hmm_folio;
mod hmm_left;
mod hmm_passed_over;
pub mod hmm_refused;
pub mod migrate;
mod migrate_locks;
pub mod mlock;
pub mod process;
pub mod rmap;
pub mod swiotlb;
