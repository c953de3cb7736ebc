//! The rules, one a file.

use crate::event::Event;

use super::findings::RuleContext;

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
