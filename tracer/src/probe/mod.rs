//! Probe points on the running kernel: the catalogue, the plan, the attaching, the outcome.
//!
//! * [`catalogue`]: for each point the functions that can serve it, as data;
//! * [`view`]: what the plan asks of a kernel; [`request`]: what it is asked for;
//! * [`signature`]: where the arguments are; [`program`]: what the programs are called;
//! * [`plan`]: what to attach, and what next when the kernel refuses; [`table`]: the plan for readers.

pub mod catalogue;
mod choice;
mod known;
pub mod plan;
pub mod program;
mod report;
pub mod request;
pub mod signature;
pub mod table;
#[cfg(test)]
mod testing;
pub mod view;

pub use choice::ChosenCandidate;
pub use known::KnownKernel;
pub use plan::{FallBack, Plan, PlannedPoint};
pub use program::{Program, ProgramKind};
pub use report::{AttachMethod, Attempt, Outcome, PointReport};
pub use request::{Preference, Request, is_per_vma, select};
pub use view::{KernelView, Presence};
