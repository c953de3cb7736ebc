//! Output held to a golden file; `cargo xtask golden` writes these files anew.

use std::path::Path;

/// Fails at the first line that differs from the file, whose path begins in this crate's folder.
pub fn assert_golden(path: impl AsRef<Path>, printed: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("RMAPSCOPE_BLESS").is_some_and(|value| value == "1") {
        std::fs::write(&path, printed).expect("the golden file can be written");
    }
    let expected = std::fs::read_to_string(&path).expect("the golden file");
    let name = path.display();
    for (number, (printed, expected)) in printed.lines().zip(expected.lines()).enumerate() {
        assert_eq!(printed, expected, "line {} of {name}", number + 1);
    }
    assert_eq!(printed.len(), expected.len(), "{name}");
}
