//! Words that log scanners take for a failure of the kernel, and how to print them all the same.

use crate::escape::{escape, is_unsafe};

/// What scanners of boot and test logs look for: the patterns of SQUAD (2d1bf924,
/// squad/plugins/linux_log_parser.py) and of the kernel's own KTAP parser, which stops reading at a halt (6.12
/// tools/testing/kunit/kunit_parser.py, `KTAP_END`), and what GitHub's runner obeys: `##[` anywhere, `::` where a
/// line begins. A thread's name has 15 bytes, room enough for `BUG: `.
const ALARMING: [&str; 17] = [
    "WARNING:",
    "BUG:",
    "kernel BUG at",
    "Oops:",
    "Oops -",
    "Unhandled fault",
    "invalid opcode:",
    "Kernel panic",
    "Internal error:",
    "Call Trace:",
    "cut here",
    "end trace",
    "INFO: ",
    "List of all partitions:",
    "reboot: ",
    "##[",
    "::",
];

/// `text` in one line: control characters, `\` and what changes a terminal as `\xNN`, and so the last character
/// of every alarming word. Nothing is lost: `\xNN` can be turned back.
pub fn plain(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    escape(&mut bytes, text, false);
    calm(&String::from_utf8_lossy(&bytes), |character| format!("\\x{:02x}", u32::from(character)))
}

/// JSON whose strings mean the same but alarm nobody and change no terminal.
pub fn json(text: &str) -> String {
    let unicode = |character: char| {
        character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>()
    };
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        // The line ends are those between the members: inside of strings serde has escaped them.
        if is_unsafe(character) && character != '\n' {
            shown += &unicode(character);
        } else {
            shown.push(character);
        }
    }
    calm(&shown, unicode)
}

/// XML whose text means the same but alarms nobody.
pub fn xml(text: &str) -> String {
    calm(text, |character| format!("&#{};", u32::from(character)))
}

/// Every alarming word with its last character written by `spell`.
fn calm(text: &str, spell: impl Fn(char) -> String) -> String {
    let mut text = text.to_owned();
    for word in ALARMING {
        if text.contains(word) {
            let last = word.chars().next_back().unwrap_or_default();
            let head = &word[..word.len() - last.len_utf8()];
            text = text.replace(word, &format!("{head}{}", spell(last)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarming_words_are_spelt() {
        assert_eq!(plain("BUG: WARNING: x"), "BUG\\x3a WARNING\\x3a x");
        assert_eq!(plain("a\n::error::"), "a\\x0a:\\x3aerror:\\x3a");
        assert_eq!(plain("kernel BUG at"), "kernel BUG a\\x74");
        for word in ALARMING {
            assert!(!plain(word).contains(word) && !json(word).contains(word) && !xml(word).contains(word));
        }
    }

    #[test]
    fn json_and_xml_keep_their_meaning() {
        let value = serde_json::json!({ "comm": "BUG: \u{202e}\u{1b}", "say": ["reboot: "] });
        let text = json(&serde_json::to_string_pretty(&value).expect("JSON"));
        assert!(!text.contains("BUG:") && !text.contains('\u{202e}') && text.contains('\n'));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), value);
        assert_eq!(xml("<a b=\"BUG: x\"/>"), "<a b=\"BUG&#58; x\"/>");
    }
}
