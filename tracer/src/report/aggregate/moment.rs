//! What a section may ask while it takes an event.

use crate::event::Weights;
use crate::event::{Comm, Decoder, Names};

/// The stream as it is at one event.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// Nanoseconds since the first event of the stream.
    pub since_start: u64,
    /// Who is who; the event itself is taken into account.
    pub names: &'a Names,
    /// Name of the event's thread.
    pub comm: Option<&'a Comm>,
    /// Turns this kernel's numbers into values.
    pub decoder: &'a Decoder,
    /// What the event counts for.
    pub weights: Weights,
}
