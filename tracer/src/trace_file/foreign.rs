//! Telling which other tool's file this is, by its first bytes.

/// Beginnings of well-known files.
const BEGINNINGS: &[(&[u8], &str)] = &[
    (b"PERFILE2", "a perf.data file of perf (read it with `perf script`)"),
    (b"2ELIFREP", "a perf.data file of perf on a machine of the other byte order"),
    (b"\x17\x08\x44tracing", "a trace.dat file of trace-cmd (read it with `trace-cmd report`)"),
    (b"\xc1\x1f\xfc\xc1", "a Common Trace Format stream (read it with `babeltrace2`)"),
    (b"\x1f\x8b", "a gzip file (unpack it first)"),
    (b"\x28\xb5\x2f\xfd", "a zstd file (unpack it first)"),
    (b"\xfd7zXZ\0", "an xz file (unpack it first)"),
    (b"BZh", "a bzip2 file (unpack it first)"),
    (b"PK\x03\x04", "a zip archive (unpack it first)"),
    (b"\x7fELF", "an ELF program or object"),
    (b"\xd4\xc3\xb2\xa1", "a pcap capture"),
    (b"\xa1\xb2\xc3\xd4", "a pcap capture"),
    (b"\x0a\x0d\x0d\x0a", "a pcapng capture"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"PAR1", "a Parquet file"),
    (b"\x89PNG", "a PNG image"),
    (b"%PDF", "a PDF document"),
    (b"#!", "a script"),
];

/// Names the file that begins with these bytes, which are not those of a trace file.
pub fn name(beginning: &[u8]) -> &'static str {
    if let Some((_, name)) = BEGINNINGS.iter().find(|(magic, _)| beginning.starts_with(magic)) {
        return name;
    }
    match beginning.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{' | b'[') => "JSON text",
        Some(b'<') => "an HTML or XML document",
        _ if beginning.iter().all(|byte| *byte == 0) => "a file that begins with zeros",
        _ if beginning.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) => {
            "a text file"
        }
        _ => "a file of an unknown kind",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_files() {
        for (beginning, expected) in [
            (&b"PERFILE2\x68\0\0\0"[..], "a perf.data file"),
            (b"\x17\x08\x44tracing6\0\0\0", "a trace.dat file"),
            (b"\x1f\x8b\x08\0", "a gzip file"),
            (b" \n{\"a\":1}", "JSON text"),
            (b"\0\0\0\0", "a file that begins with zeros"),
            (b"Hello\n", "a text file"),
            (b"\xff\xfe\x01", "a file of an unknown kind"),
        ] {
            assert!(name(beginning).starts_with(expected), "{expected}: {}", name(beginning));
        }
    }
}
