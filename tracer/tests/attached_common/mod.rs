//! Points of a recording that was made with everything attached.

use rmapscope::event::Kind;
use rmapscope::probe::{AttachMethod, Outcome, PointReport};

/// A point of its own that tells of this kind alone.
pub fn point(kind: &Kind) -> PointReport {
    PointReport {
        point: kind.name().to_owned(),
        family: kind.family().name().to_owned(),
        events: vec![kind.name().to_owned()],
        outcome: Outcome::Attached { symbol: kind.name().to_owned(), method: AttachMethod::Fentry },
        attempts: Vec::new(),
    }
}
