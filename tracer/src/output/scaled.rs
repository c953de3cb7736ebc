//! Numbers in a unit in which they are short.

/// Three digits of a number, whatever its size below 1000.
pub fn three_digits(value: f64) -> String {
    match value {
        value if value < 9.995 => format!("{value:.2}"),
        value if value < 99.95 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

/// The number in the first unit in which it is below `step`, three digits of it; whole in the first unit.
pub fn scaled(value: u64, step: f64, units: &[&str]) -> String {
    let mut shown = value as f64;
    let mut units = units.iter();
    let mut unit = units.next().copied().unwrap_or_default();
    if shown < step {
        return format!("{value}{unit}");
    }
    for next in units {
        if shown < step - 0.5 {
            break;
        }
        shown /= step;
        unit = next;
    }
    format!("{}{unit}", three_digits(shown))
}
