//! Bars and lines made of characters.

/// Eighths of a character, from the left.
const BLOCKS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
/// Eighths of a character, from below.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The same without Unicode: darker means more.
const DARKER: [char; 8] = ['.', ':', '-', '=', '+', '*', '#', '@'];

/// A bar whose length is to `width` what `value` is to `most`. What is not 0 is seen.
pub fn bar(value: u64, most: u64, width: usize, unicode: bool) -> String {
    if value == 0 || most == 0 {
        return String::new();
    }
    let part = value as f64 / most as f64;
    if !unicode {
        return "#".repeat(((part * width as f64).round() as usize).max(1));
    }
    let eighths = ((part * (width * 8) as f64).round() as usize).max(1);
    let mut bar = "█".repeat(eighths / 8);
    if let Some(rest) = (eighths % 8).checked_sub(1) {
        bar.push(BLOCKS[rest]);
    }
    bar
}

/// A character for each value, higher or darker for more; a space for 0.
pub fn spark(values: &[u64], unicode: bool) -> String {
    let most = values.iter().copied().max().unwrap_or(0);
    let levels = if unicode { LEVELS } else { DARKER };
    let level = |value: u64| match value {
        0 => ' ',
        value => levels[((value as f64 / most as f64 * 8.0).ceil() as usize).clamp(1, 8) - 1],
    };
    values.iter().map(|value| level(*value)).collect()
}

/// `values` in at most `width` steps, neighbours taken together by `together`.
pub fn resampled(values: &[u64], width: usize, together: fn(u64, u64) -> u64) -> Vec<u64> {
    let step = values.len().div_ceil(width.max(1)).max(1);
    values.chunks(step).map(|chunk| chunk.iter().copied().reduce(together).unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_values() {
        assert_eq!(bar(8, 8, 4, true), "████");
        assert_eq!(bar(3, 8, 4, true), "█▌");
        assert_eq!(bar(1, 1_000_000, 4, true), "▏");
        assert_eq!(bar(1, 1_000_000, 4, false), "#");
        assert_eq!((bar(0, 5, 4, true), bar(0, 0, 4, false)), (String::new(), String::new()));
        assert_eq!(bar(u64::MAX, u64::MAX, 3, false), "###");
    }

    #[test]
    fn sparks_are_as_high_as_their_values() {
        assert_eq!(spark(&[0, 1, 4, 8], true), " ▁▄█");
        assert_eq!(spark(&[0, 1, 4, 8], false), " .=@");
        assert_eq!(spark(&[], true), "");
        assert_eq!(resampled(&[1, 2, 3, 4, 5], 3, u64::saturating_add), [3, 7, 5]);
        assert_eq!(resampled(&[1, 2, 3, 4, 5], 2, u64::max), [3, 5]);
        assert_eq!(resampled(&[], 2, u64::max), [0; 0]);
    }
}
