//! Values on the command line: times, sizes, name patterns.

use std::fmt;
use std::time::Duration;

use tracer_common::glob::Glob;

/// A value that cannot be understood; printed behind the option's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidValue {
    /// Not a number with a unit of time.
    #[error("expected a time such as 500ms, with ns, us, ms, s, m or h; seconds without a unit")]
    Time,
    /// Not a number with a unit of size.
    #[error("expected a size such as 8M, with K, M, G or T; bytes without a unit")]
    Size,
    /// exceeds 64 bits.
    #[error("the number is too large")]
    TooLarge,
    /// A pattern that no name can match.
    #[error("a process name has 1 to 15 bytes, and a pattern 1 to 16")]
    Pattern,
}

/// The number in front of a unit, as a whole part and billionths, and the unit.
fn split_number(text: &str) -> Option<(u64, u64, &str)> {
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let digits = fraction.chars().chain(std::iter::repeat('0')).take(9);
    let billionths = digits.fold(0, |sum, digit| sum * 10 + u64::from(digit.to_digit(10).unwrap_or(0)));
    Some((whole, billionths, unit.trim()))
}

fn scaled(whole: u64, billionths: u64, scale: u64) -> Result<u64, InvalidValue> {
    let value =
        u128::from(whole) * u128::from(scale) + u128::from(billionths) * u128::from(scale) / 1_000_000_000;
    u64::try_from(value).map_err(|_| InvalidValue::TooLarge)
}

/// How often something is printed or drawn: a time that is not too short.
///
/// # Errors
/// When it is none, or shorter than `shortest`, whole milliseconds.
pub fn interval(text: &str, shortest: Duration) -> Result<Duration, String> {
    let interval = duration(text).map_err(|error| error.to_string())?;
    if interval < shortest {
        return Err(format!("an interval is at least {} ms", shortest.as_millis()));
    }
    Ok(interval)
}

/// A time such as `500ms`, `2m` or `1.5` (seconds).
///
/// # Errors
/// When it is none.
pub fn duration(text: &str) -> Result<Duration, InvalidValue> {
    let (whole, billionths, unit) = split_number(text).ok_or(InvalidValue::Time)?;
    let nanoseconds = match unit {
        "ns" => 1,
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "" | "s" | "sec" => 1_000_000_000,
        "m" | "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return Err(InvalidValue::Time),
    };
    scaled(whole, billionths, nanoseconds).map(Duration::from_nanos)
}

/// A size such as `8M`, `64KiB` or `4096` (bytes); units are powers of 1024.
///
/// # Errors
/// When it is none.
pub fn size(text: &str) -> Result<u64, InvalidValue> {
    let (whole, billionths, unit) = split_number(text).ok_or(InvalidValue::Size)?;
    let unit = unit.to_ascii_lowercase();
    let unit = unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit);
    let shift = match unit {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(InvalidValue::Size),
    };
    scaled(whole, billionths, 1 << shift)
}

/// A pattern for process names with `*` and `?`; a `!` in front denies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    /// Names that match are left out.
    pub denies: bool,
    /// The pattern as it was typed, without the `!`.
    pub text: String,
    /// The pattern, compiled.
    pub glob: Glob,
}

impl fmt::Display for NamePattern {
    /// As it was typed.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", if self.denies { "!" } else { "" }, self.text)
    }
}

/// A pattern such as `kswapd*` or `!kworker/*`.
///
/// # Errors
/// When no name can match it.
pub fn name_pattern(text: &str) -> Result<NamePattern, InvalidValue> {
    let (denies, text) = match text.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let glob = Glob::compile(text.as_bytes()).ok_or(InvalidValue::Pattern)?;
    Ok(NamePattern { denies, text: text.to_owned(), glob })
}

/// A parsed time holds at most 64 bits of nanoseconds.
pub fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let check =
            |text, nanoseconds| assert_eq!(duration(text), Ok(Duration::from_nanos(nanoseconds)), "{text}");
        check("500ms", 500_000_000);
        check("2m", 120_000_000_000);
        check("1.5", 1_500_000_000);
        check(".25s", 250_000_000);
        check("10us", 10_000);
        check("1.0000000019s", 1_000_000_001);
        check("7 ns", 7);
        for text in ["", "s", ".", "1.2.3", "-1", "1 fortnight", "1e3", "0x10"] {
            assert_eq!(duration(text), Err(InvalidValue::Time), "{text}");
        }
        assert_eq!(duration("18446744073709551615h"), Err(InvalidValue::TooLarge));
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("8M", 8 << 20),
            ("64KiB", 65536),
            ("4096", 4096),
            ("1.5k", 1536),
            ("2GB", 2 << 30),
            ("1t", 1 << 40),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        assert_eq!(size("8X"), Err(InvalidValue::Size));
        assert_eq!(size("M"), Err(InvalidValue::Size));
        assert_eq!(size("18446744073709551615k"), Err(InvalidValue::TooLarge));
        assert_eq!(size("99999999999999999999"), Err(InvalidValue::Size));
    }

    #[test]
    fn patterns() {
        let pattern = name_pattern("!kworker/*").unwrap();
        assert!(
            pattern.denies && pattern.to_string() == "!kworker/*" && pattern.glob.matches(b"kworker/0:1")
        );
        assert!(!name_pattern("*2345678901234").unwrap().denies);
        for text in ["", "!", "1234567890123456"] {
            assert_eq!(name_pattern(text), Err(InvalidValue::Pattern), "{text}");
        }
    }
}
