//! Probe points on the running kernel: the catalogue, the plan, the attaching, the outcome.

mod report;

pub use report::{AttachMethod, Attempt, Outcome, PointReport};
