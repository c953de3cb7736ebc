//! Kernel stacks.

use serde::Serialize;

use crate::event::Weights;

/// What one kernel stack led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StackTotal {
    /// Name of the event.
    pub event: &'static str,
    /// Functions without those of the tracer, innermost first; addresses in hexadecimal where there is no symbol.
    /// Empty when stacks were recorded but this one could not be kept.
    pub frames: Vec<String>,
    /// Sums.
    #[serde(flatten)]
    pub weights: Weights,
}
