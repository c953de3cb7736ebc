//! The diagnoses, one a file: trouble on correct kernels, explained.

use super::Diagnosis;
use super::info::DiagnosisInfo;
use super::stream_context::StreamContext;
use crate::event::Event;

pub mod exclusive_blocks_migration;
pub mod exclusive_ping_pong;
pub mod fork_enomem_exclusive;
pub mod long_rmap_walk;
pub mod swiotlb_full;
pub mod swiotlb_growth;
pub mod swiotlb_room;
#[cfg(test)]
mod tests;

/// Number of diagnoses.
pub const DIAGNOSES: usize = 6;

/// What each says about itself.
pub const INFOS: [DiagnosisInfo; DIAGNOSES] = [
    fork_enomem_exclusive::INFO,
    exclusive_blocks_migration::INFO,
    exclusive_ping_pong::INFO,
    swiotlb_full::INFO,
    swiotlb_growth::INFO,
    long_rmap_walk::INFO,
];

/// A diagnosis at work. It is given the events that it needs, in the order of the stream.
pub trait Diagnose {
    /// Looks at an event.
    fn event(&mut self, event: &Event, stream: &StreamContext<'_>);

    /// Forgets what missing events make doubtful.
    fn lost(&mut self) {}

    /// What was found by the end of the stream.
    fn finish(&mut self, stream: &StreamContext<'_>) -> Vec<Diagnosis>;
}

/// All of them, in the order of [`INFOS`]; each keeps that much evidence.
pub fn make(limit: usize) -> [Box<dyn Diagnose>; DIAGNOSES] {
    [
        Box::new(fork_enomem_exclusive::ForkEnomem::new(limit)),
        Box::new(exclusive_blocks_migration::BlocksMigration::new(limit)),
        Box::new(exclusive_ping_pong::PingPong::new(limit)),
        Box::new(swiotlb_full::Full::new(limit)),
        Box::new(swiotlb_growth::Growth::new(limit)),
        Box::new(long_rmap_walk::LongWalk::new(limit)),
    ]
}

/// `1 page`, `3 pages`.
fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
