//! Numbers with a unit, as fdinfo has them: `123`, `123 ns`, `64 KiB`.

/// A unit and how many of the smallest one it is.
type Unit = (&'static str, u64);

/// Bytes (drm-usage-stats.rst: "Default unit shall be bytes").
pub const BYTES: &[Unit] = &[("", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
/// Hertz.
pub const HERTZ: &[Unit] =
    &[("Hz", 1), ("", 1), ("KHz", 1_000), ("kHz", 1_000), ("MHz", 1_000_000), ("GHz", 1_000_000_000)];
/// Nanoseconds, with which no other unit is mixed.
pub const NANOSECONDS: &[Unit] = &[("ns", 1), ("", 1)];
/// Plain numbers.
pub const COUNT: &[Unit] = &[("", 1)];

/// The number in the smallest unit; `None` when it is no number of 64 bits, or has another unit.
pub fn parse(text: &str, units: &[Unit]) -> Option<u64> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let scale = units.iter().find(|(name, _)| *name == unit.trim())?.1;
    digits.parse::<u64>().ok()?.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        assert_eq!(parse("18446744073709551615", COUNT), Some(u64::MAX));
        assert_eq!(parse("12 ns", NANOSECONDS), Some(12));
        assert_eq!(parse("0", NANOSECONDS), Some(0));
        assert_eq!(parse("64 KiB", BYTES), Some(65536));
        assert_eq!(parse("800\tMHz", HERTZ), Some(800_000_000));
        for (text, units) in [
            ("", COUNT),
            ("-1", COUNT),
            ("+1", COUNT),
            ("0x10", COUNT),
            ("1 KiB", COUNT),
            ("1 us", NANOSECONDS),
            ("1 KB", BYTES),
            ("ns", NANOSECONDS),
            ("18446744073709551616", COUNT),
            ("18446744073709551615 KiB", BYTES),
        ] {
            assert_eq!(parse(text, units), None, "{text}");
        }
    }
}
