//! Two sides of recorded runs compared: which differences are beyond noise, and how that is known.
//!
//! # The noise of one run
//! Consecutive events of a trace are not independent: reclaim works in batches, an interrupt slows down all that
//! is under way. So a quantile's confidence from order statistics alone is too narrow. Each run is cut into 16 to
//! 32 consecutive blocks that are long enough to be nearly independent of each other: B. Schmeiser, "Batch Size
//! Effects in the Analysis of Simulation Output", Operations Research 30 (1982) 556, finds that more than 30
//! batches gain almost nothing, and fewer long ones keep the interval honest. Counts and sums are cut by time,
//! latencies by the number of calls. The variance of a ratio comes from the blocks' residuals, that of a quantile
//! from a block bootstrap with a fixed seed (H. Künsch, "The Jackknife and the Bootstrap for General Stationary
//! Observations", Annals of Statistics 17 (1989) 1217). What correlation is left between neighbouring blocks widens
//! it. The few blocks are paid for by Student's t with their number less one as degrees of freedom.
//!
//! # The noise between runs
//! It is unseen in one run: where pages lie, what the caches hold and how a virtual machine is scheduled differ from
//! run to run and stay for all of a run (T. Kalibera, R. Jones, "Rigorous Benchmarking in Reasonable Time", ISMM
//! 2013). Several runs a side tell it: then the run is the unit, and the variance of its logarithms, pooled over both
//! sides, decides, never less than what the blocks say. With one run a side a difference has to exceed a
//! [floor](Options::floor) that was measured on repeats of one workload.
//!
//! # Many quantities
//! A comparison tests some hundred of them. Holm's method (S. Holm, "A Simple Sequentially Rejective Multiple Test
//! Procedure", Scandinavian Journal of Statistics 6 (1979) 65) keeps the chance that any of them is a false alarm
//! below 1 - confidence, whatever the dependence between them. The hypothesis that is tested is not "exactly equal",
//! which is never so, but "no more different than the floor".
//!
//! # Missing events
//! They move what is compared by no more than a bound, which is added to the interval: a count by the events
//! that are missing, the quantile p of which a part f is missing to between (p - f) / (1 - f) and p / (1 - f).

mod basis;
mod blocks;
mod comparison;
mod differences;
mod estimate;
mod gate;
mod histogram;
mod json;
mod loss;
mod noise;
mod quantity;
mod reports;
mod sample;
mod side;
#[cfg(test)]
mod tests;
mod text;

pub use basis::{Basis, BasisChoice};
pub use comparison::{Comparison, Options, Row, RulePair, compare};
pub use gate::{Gate, GateError, GateOutcome, GateResult};
pub use json::{SCHEMA, json};
pub use noise::{Change, Verdict};
pub use quantity::Quantity;
pub use reports::{junit, ktap};
pub use sample::{Run, Sample};
pub use text::text;
