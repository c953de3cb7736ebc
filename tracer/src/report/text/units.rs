//! Numbers for people: three digits and a unit.

use crate::output::{scaled, three_digits};
use crate::report::model::Unit;

/// Nanoseconds, such as `4.10 µs`; with `us` where the output has only ASCII.
pub fn time(nanoseconds: u64, unicode: bool) -> String {
    let micro = if unicode { " µs" } else { " us" };
    scaled(nanoseconds, 1000.0, &[" ns", micro, " ms", " s"])
}

/// Bytes in powers of 1024, such as `64.0 KiB`.
pub fn bytes(bytes: u64) -> String {
    let text = scaled(bytes, 1024.0, &[" B", " KiB", " MiB", " GiB", " TiB"]);
    // Sizes are mostly powers of two, of which the fraction says nothing.
    match text.split_once(' ') {
        Some((number, unit)) => {
            let whole = number.strip_suffix(".00").or_else(|| number.strip_suffix(".0")).unwrap_or(number);
            format!("{whole} {unit}")
        }
        None => text,
    }
}

/// How often in a second, over `span` nanoseconds; nothing when there was no time.
pub fn rate(count: u64, span: u64) -> String {
    if count == 0 || span == 0 {
        return String::new();
    }
    let rate = count as f64 / (span as f64 / 1e9);
    if rate < 999.5 { three_digits(rate) } else { scaled(rate.round() as u64, 1000.0, &["", "k", "M", "G"]) }
}

/// A part of a whole in percent; nothing when there is no whole.
pub fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return String::new();
    }
    let percent = part as f64 * 100.0 / whole as f64;
    match percent {
        100.0 => "100%".to_owned(),
        // What is not everything must not be rounded to it, and what is something not to nothing.
        percent if percent > 99.9 => "99.9%".to_owned(),
        percent if percent > 0.0 && percent < 0.05 => "<0.1%".to_owned(),
        percent => format!("{percent:.1}%"),
    }
}

/// A value in its unit.
pub fn value(value: u64, unit: Unit, unicode: bool) -> String {
    match unit {
        Unit::Nanoseconds => time(value, unicode),
        Unit::Bytes => bytes(value),
        Unit::Vmas => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_unit() {
        let times = [0, 999, 1000, 4096, 9_996, 99_960, 999_600, 1_500_000, 61_000_000_000];
        let shown = times.map(|nanoseconds| time(nanoseconds, true));
        assert_eq!(
            shown,
            ["0 ns", "999 ns", "1.00 µs", "4.10 µs", "10.0 µs", "100 µs", "1.00 ms", "1.50 ms", "61.0 s"]
        );
        assert_eq!(time(2000, false), "2.00 us");
        assert_eq!(time(u64::MAX, true), "18446744074 s");
        let sizes = [0, 1023, 4096, 1536, 64 << 20, 1 << 40].map(bytes);
        assert_eq!(sizes, ["0 B", "1023 B", "4 KiB", "1.50 KiB", "64 MiB", "1 TiB"]);
    }

    #[test]
    fn rates_and_shares() {
        assert_eq!(rate(5, 2_000_000_000), "2.50");
        assert_eq!(rate(3_000_000, 1_000_000_000), "3.00M");
        assert_eq!((rate(0, 5), rate(5, 0)), (String::new(), String::new()));
        let shares =
            [(0, 10), (1, 1_000_000), (1, 3), (999_999, 1_000_000), (3, 3)].map(|(a, b)| share(a, b));
        assert_eq!(shares, ["0.0%", "<0.1%", "33.3%", "99.9%", "100%"]);
    }
}
