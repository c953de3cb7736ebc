//! What standard output can show.

#[cfg(feature = "reports")]
use std::io::{self, IsTerminal};

#[cfg(feature = "reports")]
use rmapscope::report::text::Layout;

/// Fewest characters of a line that a text can be made for.
#[cfg(feature = "reports")]
const NARROWEST: usize = 40;

/// How a text is to look on standard output: 80 characters of ASCII where it is no terminal.
#[cfg(feature = "reports")]
pub fn layout(color: bool) -> Layout {
    let output = io::stdout();
    let layout = Layout { color, ..Layout::default() };
    if !output.is_terminal() {
        return layout;
    }
    let width = terminal_size::terminal_size_of(&output).map(|(width, _)| usize::from(width.0));
    Layout {
        width: width.filter(|width| *width > 0).unwrap_or(layout.width).max(NARROWEST),
        unicode: takes_unicode(),
        ..layout
    }
}

/// Whether characters beyond ASCII are shown.
pub fn takes_unicode() -> bool {
    is_utf8(|name| std::env::var(name).ok())
}

/// Whether the locale's characters are UTF-8: the first variable that is set decides (setlocale(3)).
fn is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let mut values = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(variable);
    let locale = values.find(|value| !value.is_empty()).unwrap_or_default().to_ascii_lowercase();
    locale.ends_with("utf-8") || locale.ends_with("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_decides() {
        let check = |variables: &[(&str, &str)]| {
            is_utf8(|name| {
                variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(check(&[("LANG", "en_US.UTF-8")]) && check(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8")]));
        assert!(!check(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")]) && !check(&[]));
    }
}
