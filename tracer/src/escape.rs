//! Names that others chose (processes, devices, files, kernels), made safe to print.

use std::path::Path;

/// Appends `text` with control and formatting characters (and, on request, spaces) as `\xNN` for each of
/// their bytes, and `\` as `\\`.
pub fn escape(out: &mut Vec<u8>, text: &str, spaces: bool) {
    let is_plain = |byte: &u8| matches!(byte, b'!'..=b'~') && *byte != b'\\' || (*byte == b' ' && !spaces);
    if text.as_bytes().iter().all(is_plain) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let mut buffer = [0; 4];
    for character in text.chars() {
        let bytes = character.encode_utf8(&mut buffer).as_bytes();
        match character {
            '\\' => out.extend_from_slice(b"\\\\"),
            ' ' if spaces => escape_bytes(out, bytes),
            _ if is_unsafe(character) => escape_bytes(out, bytes),
            _ => out.extend_from_slice(bytes),
        }
    }
}

/// The text with everything escaped but spaces.
pub fn escaped(text: &str) -> String {
    let mut out = Vec::new();
    escape(&mut out, text, false);
    String::from_utf8_lossy(&out).into_owned()
}

/// A path, with everything escaped but spaces.
pub fn escaped_path(path: &Path) -> String {
    escaped(&path.to_string_lossy())
}

fn escape_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        let digits = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        out.extend_from_slice(b"\\x");
        out.extend_from_slice(&digits);
    }
}

/// Characters that change how a terminal shows the text around them: control characters, line and paragraph
/// separators, and Unicode's invisible and direction-changing ones.
pub fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str, spaces: bool) -> String {
        let mut out = Vec::new();
        escape(&mut out, text, spaces);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_changes_a_terminal_is_escaped() {
        assert_eq!(with("kworker/0:1-ev", true), "kworker/0:1-ev");
        assert_eq!(with("Web Content", false), "Web Content");
        assert_eq!(with("Web Content", true), "Web\\x20Content");
        assert_eq!(with("\x1b[31mred\n", false), "\\x1b[31mred\\x0a");
        assert_eq!(with("a\\x41", false), "a\\\\x41");
        assert_eq!(with("ä\u{202e}", false), "ä\\xe2\\x80\\xae");
        assert_eq!(with("\u{9b}1m", false), "\\xc2\\x9b1m");
        assert_eq!(with("\u{fffd}", false), "\u{fffd}");
        assert_eq!(escaped("a b\n"), "a b\\x0a");
    }
}
