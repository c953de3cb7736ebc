//! Colours, all light enough for black letters on them.

use crate::event::Family;

/// Red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color(pub u8, pub u8, pub u8);

impl std::fmt::Display for Color {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "rgb({},{},{})", self.0, self.1, self.2)
    }
}

/// Behind everything.
pub const PAPER: Color = Color(252, 252, 250);
/// A thread.
pub const THREAD: Color = Color(214, 206, 192);
/// Lost events in a graph of one trace.
pub const LOSS: Color = Color(240, 92, 72);
/// Lost events where red means more.
pub const LOSS_IN_DIFFERENCE: Color = Color(150, 150, 150);
/// No difference that could be told from chance.
pub const NOISE: Color = Color(226, 226, 226);
/// The most more, and the most less: both also told apart by who sees red and green alike.
pub const MORE: Color = Color(232, 112, 72);
/// See [`MORE`].
pub const LESS: Color = Color(84, 152, 212);

/// A probed function: Okabe and Ito's colours, lighter.
pub const fn family(family: Family) -> Color {
    match family {
        Family::Process => Color(176, 188, 196),
        Family::Exclusive => Color(240, 172, 48),
        Family::Rmap => Color(104, 188, 236),
        Family::Migrate => Color(92, 196, 160),
        Family::Mlock => Color(236, 224, 88),
        Family::Fork => Color(224, 144, 188),
        Family::Swiotlb => Color(172, 152, 232),
        Family::Hmm => Color(216, 128, 96),
    }
}

/// Any other function of the kernel: shades by its name, the same in every graph.
pub fn function(name: &str) -> Color {
    // FNV-1a, 32 bits.
    let hash =
        name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let shade = |shift: u32, range: u32| (hash >> shift & 0xff) * range / 0xff;
    let light = shade(24, 14);
    Color((232 + light) as u8, (222 + light) as u8, (196 + light + shade(8, 16)) as u8)
}

/// From almost white to `full`, by 0 to 1.
pub fn shade(full: Color, intensity: f64) -> Color {
    let intensity = 0.25 + 0.75 * intensity.clamp(0.0, 1.0);
    let mix = |full: u8| (255.0 - (255.0 - f64::from(full)) * intensity).round() as u8;
    Color(mix(full.0), mix(full.1), mix(full.2))
}
