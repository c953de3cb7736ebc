//! What counts are divided by, so that runs of different length can be compared.

use serde::Serialize;

use crate::event::Kind;

/// What was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BasisChoice {
    /// The run where every run is of the same command, else the second.
    #[default]
    Auto,
    /// This one.
    Fixed(Basis),
}

/// What counts and time sums are given by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The whole run: for the same work.
    Run,
    /// A second of the session.
    Second,
    /// An event of any kind: the share.
    Event,
    /// A page that any event is about.
    Page,
    /// An event of this kind.
    Kind(Kind),
}

impl Basis {
    /// The basis of that name: `run`, `second`, `event`, `page` or an event's.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "run" => Self::Run,
            "second" => Self::Second,
            "event" => Self::Event,
            "page" => Self::Page,
            name => Self::Kind(Kind::from_name(name)?),
        })
    }

    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Second => "second",
            Self::Event => "event",
            Self::Page => "page",
            Self::Kind(kind) => kind.name(),
        }
    }
}

impl Serialize for Basis {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
