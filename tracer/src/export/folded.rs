//! Folded stacks: a line a path, frames with `;` between them from the thread's name to the probed function, and a
//! number. flamegraph.pl, inferno-flamegraph, speedscope and many others take them.
//!
//! Events that were lost are a line of their own, `[lost: ring full]`: whoever draws the lines shows them.

use std::io::{self, Write};

use crate::event::Weight;
use crate::flame::Profile;

/// Writes a profile by one weight, in the order of the frames' names.
///
/// # Errors
/// When it cannot be written.
pub fn write(profile: &Profile, weight: Weight, out: &mut impl Write) -> io::Result<()> {
    profile.folded(weight).try_for_each(|(path, own)| writeln!(out, "{path} {own}"))
}
