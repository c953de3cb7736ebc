//! What is compared of an event.

use std::fmt;

/// A number that each side has of an event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Quantity {
    /// How many, by the basis of the comparison.
    Rate,
    /// Time in the probed function in all, by the basis of the comparison.
    Time,
    /// Nanoseconds of a call in the mean.
    Mean,
    /// Nanoseconds that this part of all calls does not exceed.
    Quantile(f64),
    /// Nanoseconds of the longest call. It has no confidence interval: a longer run has a longer one.
    Max,
    /// How many of a run, whatever the basis.
    Count,
}

impl Quantity {
    /// Those that every comparison tests.
    pub const TESTED: [Self; 6] =
        [Self::Rate, Self::Time, Self::Mean, Self::Quantile(0.5), Self::Quantile(0.9), Self::Quantile(0.99)];

    /// The quantity of that name: `rate`, `time`, `mean`, `max`, `count`, `p50`, `p99`, `p999`.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "rate" => Self::Rate,
            "time" => Self::Time,
            "mean" => Self::Mean,
            "max" => Self::Max,
            "count" => Self::Count,
            _ => {
                let digits = name.strip_prefix('p')?;
                let is_number =
                    (1..=6).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
                let part: f64 = format!("0.{digits}").parse().ok().filter(|_| is_number)?;
                Self::Quantile(part).checked()?
            }
        })
    }

    fn checked(self) -> Option<Self> {
        (!matches!(self, Self::Quantile(part) if part <= 0.0)).then_some(self)
    }

    /// Whether it is measured in the probed function.
    pub const fn is_latency(self) -> bool {
        !matches!(self, Self::Rate | Self::Count)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate => formatter.write_str("rate"),
            Self::Time => formatter.write_str("time"),
            Self::Mean => formatter.write_str("mean"),
            Self::Max => formatter.write_str("max"),
            Self::Count => formatter.write_str("count"),
            Self::Quantile(part) => {
                // 0.5 is p50, and 0.999 p999.
                let digits = part.to_string();
                write!(formatter, "p{:0<2}", digits.trim_start_matches("0."))
            }
        }
    }
}

impl serde::Serialize for Quantity {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for name in ["rate", "time", "mean", "max", "count", "p50", "p90", "p99", "p999", "p05"] {
            assert_eq!(Quantity::from_name(name).map(|quantity| quantity.to_string()).as_deref(), Some(name));
        }
        for name in ["", "p", "p0", "p00", "p-1", "p1e3", "P99", "median"] {
            assert_eq!(Quantity::from_name(name), None, "{name}");
        }
        assert_eq!(Quantity::from_name("p5"), Some(Quantity::Quantile(0.5)));
    }
}
