//! The kernel's own rules, judged on a stream of events.
//!
//! [`Checker`] is the sink: it hands each event to the [`rules()`] and [`diagnoses()`] that need it and makes a
//! [`Verdict`] of what they found. What a rule needs is in the event itself wherever it can be, as the kernel had
//! it at that moment; the rest is in a state that follows what lives, and forgets what missing events make
//! doubtful. `docs/rules.md` describes every rule and diagnosis.

mod catalogue;
mod checker;
mod coverage;
mod diagnoses;
#[cfg(test)]
mod documentation;
mod expectations;
mod facts;
mod findings;
pub mod formats;
mod info;
mod judgement;
mod losses;
mod options;
mod rules;
mod scope;
mod silence;
mod state;
mod stream_context;
#[cfg(test)]
mod testing;
mod verdict;

pub use catalogue::{diagnoses, kinds_for, rules};
pub use checker::Checker;
pub(crate) use diagnoses::swiotlb_full::Reason as NoRoom;
pub(crate) use diagnoses::swiotlb_room::Request as NoRoomRequest;
pub(crate) use facts::Facts;
pub use info::{DiagnosisInfo, Need, Role, RuleInfo};
pub use options::{OnLoss, OnMissing, Options, Selection};
pub use silence::Silences;
pub use state::Live;
pub use verdict::{
    Actor, Diagnosis, Earlier, Evidence, Outcome, RuleVerdict, Severity, SilentProbes, Subject, Verdict,
};
