//! Process-name patterns with `*` (any run) and `?` (any one byte).
//!
//! A pattern is compiled in user space into the tables of a small automaton: one bit for each number of
//! tokens matched so far. A step is four operations on those bits, whatever the name: the kernel's verifier
//! follows it without trying every name, which a matcher that goes back to its last `*` would make it do.

/// Most tokens of a pattern: names have at most 15 bytes, and one bit is for "all matched".
pub const MAX_TOKENS: usize = 15;

/// A compiled pattern. Bit `i` of a word is about the `i`th token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Glob {
    /// For each byte: the tokens that take it and are done then (that byte itself, or `?`).
    pub takes: [u16; 256],
    /// The tokens that are `*`.
    pub stars: u16,
    /// The bit after the last token.
    pub accept: u16,
}

impl Glob {
    /// Matches nothing.
    pub const NOTHING: Self = Self { takes: [0; 256], stars: 0, accept: 0 };

    /// Compiles a pattern; `None` when it is empty, holds a NUL, or has more tokens than any name has bytes.
    pub fn compile(pattern: &[u8]) -> Option<Self> {
        let mut glob = Self::NOTHING;
        let mut tokens = 0;
        let mut after_star = false;
        for &byte in pattern {
            // A run of stars is one: a step skips a single one.
            let star = byte == b'*';
            if star && after_star {
                continue;
            }
            after_star = star;
            if tokens == MAX_TOKENS || byte == 0 {
                return None;
            }
            let bit = 1 << tokens;
            match byte {
                b'*' => glob.stars |= bit,
                b'?' => glob.takes[1..].iter_mut().for_each(|takes| *takes |= bit),
                _ => glob.takes[usize::from(byte)] |= bit,
            }
            tokens += 1;
        }
        glob.accept = 1 << tokens;
        (tokens > 0).then_some(glob)
    }

    /// Whether a name matches, up to its first NUL.
    pub fn matches(&self, name: &[u8]) -> bool {
        let mut state = start(self.stars);
        for &byte in name.iter().take_while(|byte| **byte != 0) {
            state = step(state, self.takes[usize::from(byte)], self.stars);
        }
        state & self.accept != 0
    }
}

/// The state before the first byte.
#[inline(always)]
pub const fn start(stars: u16) -> u16 {
    skip(1, stars)
}

/// The state after one more byte, which the tokens in `takes` take.
#[inline(always)]
pub const fn step(state: u16, takes: u16, stars: u16) -> u16 {
    skip((state & takes) << 1 | state & stars, stars)
}

/// A star may take nothing.
#[inline(always)]
const fn skip(state: u16, stars: u16) -> u16 {
    state | (state & stars) << 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, name: &str) -> bool {
        Glob::compile(pattern.as_bytes()).expect("the pattern compiles").matches(name.as_bytes())
    }

    #[test]
    fn literal_names_match_whole() {
        assert!(check("kswapd0", "kswapd0"));
        assert!(!check("kswapd", "kswapd0"));
        assert!(!check("kswapd0", "kswapd"));
        assert!(!check("a", ""));
        assert!(check("kswapd0", "kswapd0\0rubbish"));
    }

    #[test]
    fn stars_match_any_run() {
        assert!(check("kswapd*", "kswapd0"));
        assert!(check("*", ""));
        assert!(check("*", "anything"));
        assert!(check("*hmm*", "my-hmm-tests"));
        assert!(check("a*b*c", "aXbXXbXc"));
        assert!(!check("a*b*c", "aXbXXbXd"));
        assert!(check("**a", "bba"));
        assert!(check("a***", "a"));
    }

    #[test]
    fn question_marks_match_one_byte() {
        assert!(check("kswapd?", "kswapd1"));
        assert!(!check("kswapd?", "kswapd"));
        assert!(check("?*?", "ab"));
        assert!(!check("?*?", "a"));
    }

    #[test]
    fn full_length_names_need_no_nul() {
        assert!(check("abcdefghijklmno", "abcdefghijklmno"));
        assert!(check("*o", "abcdefghijklmno"));
        assert!(check("*a*a*a*a*a*b", "aaaaaaaaaaaaaab"));
        assert!(!check("*a*a*a*a*a*a*c", "aaaaaaaaaaaaaab"));
    }

    #[test]
    fn impossible_patterns_do_not_compile() {
        assert_eq!(Glob::compile(b""), None);
        assert_eq!(Glob::compile(b"1234567890123456"), None);
        assert_eq!(Glob::compile(b"a\0"), None);
        assert!(Glob::compile(b"********************a").is_some());
    }
}
