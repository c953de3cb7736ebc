//! Holds documents to the tree: every path that they name in backticks is there.

use std::fs;
use std::path::Path;

use crate::workspace;

const DOCUMENTS: [&str; 2] = ["ARCHITECTURE.md", "CONTRIBUTING.md"];

/// Words in backticks, without those of fenced blocks.
fn quoted(document: &str) -> impl Iterator<Item = &str> {
    let mut is_fenced = false;
    let prose = document.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        !is_fenced && !is_fence
    });
    prose.flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// The path that a word names, up to the first part that stands for many; `None` for what is no path of this tree.
fn path(root: &Path, word: &str) -> Option<String> {
    let parts: Vec<&str> = word.split('/').take_while(|part| !part.contains(['<', '*', '{'])).collect();
    let first = *parts.first().filter(|first| !first.is_empty())?;
    let is_path = !word.contains(char::is_whitespace)
        && (root.join(first).is_dir() || word.ends_with(".md") || word.ends_with(".toml"));
    // What a build makes is not in a fresh tree.
    (is_path && first != "target").then(|| parts.join("/"))
}

#[test]
fn paths_in_documents_exist() {
    let root = workspace::root();
    for name in DOCUMENTS {
        let document = fs::read_to_string(root.join(name)).expect("the document");
        let paths: Vec<String> = quoted(&document).filter_map(|word| path(root, word)).collect();
        assert!(!paths.is_empty(), "{name}");
        for path in paths {
            // A module is a folder or a file.
            let is_there = root.join(&path).exists() || root.join(format!("{path}.rs")).exists();
            assert!(is_there, "{name} names {path}, which does not exist");
        }
    }
}

#[test]
fn only_paths_of_this_tree_are_looked_for() {
    let found = |word| path(workspace::root(), word);
    assert_eq!(found("tracer/src/<family>/x.rs").as_deref(), Some("tracer/src"));
    assert_eq!(found("README.md").as_deref(), Some("README.md"));
    for word in ["cargo xtask test", "kernel/dma/swiotlb.c", "/proc/PID/maps", "target/demo", "--kernel", ""]
    {
        assert_eq!(found(word), None, "{word}");
    }
    assert_eq!(quoted("a `b` c\n```\n`d`\n```\n`e`").collect::<Vec<_>>(), ["b", "e"]);
}
