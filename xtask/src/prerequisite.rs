//! Something that this machine lacks and that could not be installed.

/// Ends a command with exit code 4.
#[derive(Debug, thiserror::Error)]
#[error("{cause}\nremedy: {remedy}")]
pub struct Missing {
    /// What is missing.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
}

impl Missing {
    /// What is missing and what to do about it.
    pub fn new(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { cause: cause.into(), remedy: remedy.into() }
    }
}
