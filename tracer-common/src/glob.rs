//! Process-name patterns with `*` (any run) and `?` (any one byte).
//!
//! Written so that the kernel's verifier can follow it: a fixed number of steps, masked indices.

use crate::globals::Pattern;

/// Steps that the longest pattern on the longest name can take: each retry of the last `*` moves one byte
/// on in the name, and costs at most the rest of the pattern.
const MAX_STEPS: usize = 16 * 17;

/// Whether the NUL-terminated `name` matches the NUL-terminated `pattern`.
#[inline(always)]
pub fn matches(pattern: &Pattern, name: &[u8; 16]) -> bool {
    let (mut p, mut n) = (0usize, 0usize);
    // Where to go back to when the text after the last `*` does not match.
    let (mut star, mut retry) = (usize::MAX, 0usize);
    let at = |text: &[u8; 16], index: usize| if index < 16 { text[index & 15] } else { 0 };
    for _ in 0..MAX_STEPS {
        let (want, have) = (at(pattern, p), at(name, n));
        if want == b'*' {
            star = p;
            retry = n;
            p += 1;
        } else if have == 0 {
            // Only stars may be left of the pattern.
            return want == 0;
        } else if want == b'?' || want == have {
            p += 1;
            n += 1;
        } else if star != usize::MAX {
            p = star + 1;
            retry += 1;
            n = retry;
        } else {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        bytes
    }

    fn check(pattern: &str, name: &str) -> bool {
        matches(&text(pattern), &text(name))
    }

    #[test]
    fn literal_names_match_whole() {
        assert!(check("kswapd0", "kswapd0"));
        assert!(!check("kswapd", "kswapd0"));
        assert!(!check("kswapd0", "kswapd"));
        assert!(check("", ""));
        assert!(!check("", "a"));
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
}
