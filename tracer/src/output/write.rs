//! Numbers and padding straight into a line's bytes.

/// A number in decimal.
pub fn decimal(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// A number that may be negative, in decimal.
pub fn signed(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// A number as `0x` and lower-case digits.
pub fn hex(out: &mut Vec<u8>, number: u64) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut digits = [0; 16];
    let mut left = number;
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = DIGITS[(left & 15) as usize];
        left >>= 4;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(b"0x");
    out.extend_from_slice(&digits[start..]);
}

/// Nanoseconds as seconds with six digits after the point, the rest cut off.
pub fn seconds(out: &mut Vec<u8>, nanoseconds: u64) {
    let microseconds = nanoseconds / 1000;
    decimal(out, microseconds / 1_000_000);
    let mut digits = *b".000000";
    let mut left = microseconds % 1_000_000;
    for digit in digits[1..].iter_mut().rev() {
        *digit += (left % 10) as u8;
        left /= 10;
    }
    out.extend_from_slice(&digits);
}

/// What `write` appends, then spaces up to `width` characters.
pub fn left(out: &mut Vec<u8>, width: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    write(out);
    let missing = width.saturating_sub(characters(&out[start..]));
    out.resize(out.len() + missing, b' ');
}

/// What `write` appends, after spaces up to `width` characters.
pub fn right(out: &mut Vec<u8>, width: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    write(out);
    let missing = width.saturating_sub(characters(&out[start..]));
    out.resize(out.len() + missing, b' ');
    out[start..].rotate_right(missing);
}

/// Characters of UTF-8 text: the bytes that do not continue one.
fn characters(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers() {
        assert_eq!(text(|out| hex(out, 0)), "0x0");
        assert_eq!(text(|out| hex(out, 0xffff_8880_1234_5000)), "0xffff888012345000");
        assert_eq!(text(|out| signed(out, -12)), "-12");
        assert_eq!(text(|out| decimal(out, u64::MAX)), u64::MAX.to_string());
        assert_eq!(text(|out| seconds(out, 1_000_002_999)), "1.000002");
        assert_eq!(text(|out| seconds(out, 999)), "0.000000");
    }

    #[test]
    fn padding_counts_characters() {
        assert_eq!(text(|out| left(out, 4, |out| out.extend_from_slice("ä".as_bytes()))), "ä   ");
        assert_eq!(text(|out| right(out, 4, |out| decimal(out, 42))), "  42");
        assert_eq!(text(|out| right(out, 1, |out| decimal(out, 42))), "42");
    }
}
