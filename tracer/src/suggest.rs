//! The answer to a name that nothing has: the nearest that something has, and where all of them are.

use crate::Error;

/// A name typed by a person is short; what is longer resembles nothing.
const LONGEST: usize = 40;

/// The error for a name that is not among the `known` ones; `all` says where those are.
pub fn unknown<'a>(
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
    all: impl Into<String>,
) -> Error {
    let shown: String = name.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    Error::failure(format!("there is no {what} `{shown}`"), suggest(name, known, all))
}

/// The remedy for a name that is not among the `known` ones; `all` says where those are.
pub fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>, all: impl Into<String>) -> String {
    let all = all.into();
    match nearest(name, known) {
        Some(nearest) => format!("did you mean `{nearest}`? {all}"),
        None => all,
    }
}

/// The known name that differs least, when it differs little.
fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name: String = name.chars().take(LONGEST).collect();
    known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&name, known), known))
        .min()
        .filter(|(changes, known)| *changes <= 1 + known.len() / 3)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nearly_right_is_proposed() {
        let known = ["run", "second", "try_to_unmap"];
        let suggested = |name: &str| suggest(name, known, "all of them");
        assert_eq!(suggested("secund"), "did you mean `second`? all of them");
        assert_eq!(suggested("try_to_unmpa"), "did you mean `try_to_unmap`? all of them");
        assert_eq!(suggested("swiotlb"), "all of them");
        assert_eq!(suggested(""), "all of them");
    }

    #[test]
    fn what_cannot_be_printed_is_escaped_and_what_is_long_is_cut() {
        let error = unknown("event", &"\u{1b}[2J".repeat(100), ["fork"], "-e list");
        assert!(!error.cause.contains('\u{1b}') && error.cause.len() < 200, "{}", error.cause);
        assert_eq!(error.remedy, "-e list");
    }
}
