//! The size of a page is the kernel's to say: 4 KiB, 16 KiB or 64 KiB on 64-bit Arm, and a huge page is as many of them as a
//! page has entries.

use std::fs;
use std::path::{Path, PathBuf};

/// Where pages are counted.
const FOLDERS: [&str; 8] = [
    "../tracer-ebpf/src",
    "src/audit",
    "src/check",
    "src/event",
    "src/export",
    "src/follow",
    "src/report",
    "src/session",
];

/// How a page of 4 KiB, or a huge page of 512 of them, is written.
const WRITTEN: [&str; 12] = [
    " / 4096",
    " * 4096",
    "PAGE_SIZE: u64 = ",
    "PAGE_SIZE: usize = ",
    "PAGE_SHIFT: u64 = ",
    "PAGE_SHIFT: u32 = ",
    "pfn << 12",
    ">> 12",
    "<< 21",
    ">> 21",
    "PAGES: u64 = 512",
    "& 4095",
];

fn sources(folder: &Path, list: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, list);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            list.push(path);
        }
    }
}

#[test]
fn no_page_has_4096_bytes_by_itself() {
    let mut files = Vec::new();
    for folder in FOLDERS {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
    }
    assert!(files.len() > 100, "{} files", files.len());
    for file in files {
        let text = fs::read_to_string(&file).expect("a source");
        // Tests may have a kernel of their own.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let is_of_tests = ["tests.rs", "testing.rs", "synthetic.rs"].iter().any(|name| file.ends_with(name));
        let written = |line: &&str| !is_of_tests && WRITTEN.iter().any(|written| line.contains(written));
        let found: Vec<&str> = code.lines().filter(written).collect();
        assert!(found.is_empty(), "{}: {found:#?}", file.display());
    }
}
