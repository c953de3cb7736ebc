//! The rules, one a file.

use super::facts::Facts;
use super::findings::RuleContext;
use super::info::RuleInfo;
use crate::event::Event;

pub mod exclusive_anon_only;
pub mod exclusive_ends_once;
pub mod exclusive_returned_locked;
pub mod fork_parent_keeps_page;
pub mod fork_restores_exclusive;
pub mod migration_entry_locked;
pub mod mlocked_stays_mapped;
pub mod munlock_walk_complete;
pub mod restore_keeps_bits;
pub mod restore_remlocks;
pub mod rmap_caller_locked;
pub mod swiotlb_in_pool;
pub mod swiotlb_paired;
pub mod swiotlb_restricted_bounces;

macro_rules! rules {
    ($($rule:ident),* $(,)?) => {
        /// Number of rules.
        pub const RULES: usize = [$(stringify!($rule)),*].len();

        /// What they are, in the order of every output.
        pub static INFOS: [RuleInfo; RULES] = [$($rule::INFO),*];

        /// The rule at that place of the catalogue, ready to work.
        pub fn make(place: usize, facts: &Facts) -> Box<dyn Rule> {
            let makers: [fn(&Facts) -> Box<dyn Rule>; RULES] = [$($rule::make),*];
            makers[place](facts)
        }
    };
}

rules! {
    migration_entry_locked,
    rmap_caller_locked,
    fork_restores_exclusive,
    fork_parent_keeps_page,
    exclusive_anon_only,
    exclusive_returned_locked,
    exclusive_ends_once,
    restore_keeps_bits,
    restore_remlocks,
    mlocked_stays_mapped,
    munlock_walk_complete,
    swiotlb_paired,
    swiotlb_in_pool,
    swiotlb_restricted_bounces,
}

/// A rule at work. It is given the events that it needs, in the order of the stream.
pub trait Rule {
    /// Judges an event.
    fn event(&mut self, event: &Event, context: &mut RuleContext<'_>);

    /// Forgets what missing events of its families make doubtful.
    fn lost(&mut self) {}

    /// Settles what was left open until the end, at that time.
    fn finish(&mut self, _end: u64, _context: &mut RuleContext<'_>) {}
}

/// A rule that needs nothing but one event.
struct Stateless(fn(&Event, &mut RuleContext<'_>));

impl Rule for Stateless {
    fn event(&mut self, event: &Event, context: &mut RuleContext<'_>) {
        (self.0)(event, context);
    }
}

fn stateless(judge: fn(&Event, &mut RuleContext<'_>)) -> Box<dyn Rule> {
    Box::new(Stateless(judge))
}
