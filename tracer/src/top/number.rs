//! Numbers in seven characters.

use crate::output::scaled;
use crate::stat::Of;

/// A number, to three digits where it has more than five.
pub fn short(number: u64) -> String {
    if number < 100_000 {
        return number.to_string();
    }
    scaled(number, 1000.0, &["", "k", "M", "G", "T", "P", "E"])
}

/// How often in a second.
pub fn rate(count: u64, span: u64) -> String {
    let rate = count as f64 * 1e9 / span.max(1) as f64;
    if rate < 99.95 { format!("{rate:.1}") } else { short(rate.round() as u64) }
}

/// Nanoseconds, to three digits.
pub fn time(nanoseconds: u64) -> String {
    scaled(nanoseconds, 1000.0, &["ns", "us", "ms", "s", "ks", "Ms", "Gs"])
}

/// What was summed up of this.
pub fn value(number: u64, of: Of) -> String {
    if of.is_time() { time(number) } else { short(number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fit() {
        assert_eq!([0, 99_999, 100_000, 1_234_567].map(short), ["0", "99999", "100k", "1.23M"]);
        assert_eq!(
            [0, 999, 1000, 9_996, 999_600, 2_500_000_000].map(time),
            ["0ns", "999ns", "1.00us", "10.0us", "1.00ms", "2.50s"]
        );
        assert_eq!((rate(1, 2_000_000_000), rate(300, 1_000_000_000)), ("0.5".to_owned(), "300".to_owned()));
        for number in [0, 7, 12_345, u64::MAX / 3, u64::MAX] {
            assert!(
                short(number).len() <= 7 && time(number).len() <= 7 && rate(number, 1).len() <= 7,
                "{number}"
            );
        }
    }
}
