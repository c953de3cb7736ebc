//! Flame graphs: which way the kernel came to the functions that are probed, and what that cost.
//!
//! A [`Profiler`] takes a stream and becomes a [`Profile`]: events summed up by thread name, kernel stack and probed
//! function. [`svg`] draws one, [`difference_svg`] two of them; [`Profile::folded`] gives the lines that other
//! flame-graph programs read.
//!
//! inferno lays frames out and brings the script that zooms and searches; colours, words on hover and the lines
//! below the title are written here, because inferno colours by name, and of a difference only leaves
//! (jonhoo/inferno#295, so up to 0.12.8: `merge::flow` gives every other frame a difference of 0).

mod difference;
mod draw;
mod leaves;
mod names;
mod noise;
mod paint;
mod palette;
mod profile;
mod profiler;
#[cfg(test)]
mod tests;
mod tree;

pub use difference::{Basis, difference_svg};
pub use draw::{Style, svg};
pub use noise::Noise;
pub use profile::{Path, Profile, Sum};
pub use profiler::{Grouping, Profiler};

/// Why a flame graph could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum FlameError {
    /// Nothing in the trace has the weight that was asked for.
    #[error("no event has {0}: nothing to draw")]
    Nothing(&'static str),
    /// A difference relates both sides to something that one of them has not.
    #[error("numbers per {basis} unknown: the side {side} has none")]
    NoBasis {
        /// `before` or `after`.
        side: &'static str,
        /// What is missing.
        basis: String,
    },
    /// inferno refused.
    #[error("inferno cannot lay the frames out: {0}")]
    Layout(#[from] std::io::Error),
    /// What inferno wrote cannot be read back.
    #[error("unexpected SVG from inferno: {0}")]
    Svg(String),
}
