//! `/proc/PID/maps`: the VMAs of an address space; `/proc/PID/smaps` for their flags.

use std::collections::HashMap;

use serde::Serialize;

/// First address of the upper half, where the kernel is; the vsyscall page is shown there, but has no entries.
const KERNEL_HALF: u64 = 1 << 63;

/// A VMA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Vma {
    /// First address.
    #[serde(serialize_with = "super::json::hex")]
    pub start: u64,
    /// First address behind it.
    #[serde(serialize_with = "super::json::hex")]
    pub end: u64,
    /// As in maps: `rw-p`.
    pub permissions: String,
    /// What is mapped: a path, `[heap]`, or nothing for anonymous memory. Chosen by others: escape it.
    pub path: String,
    /// The kernel's abbreviations of the flags (Documentation/filesystems/proc.rst, VmFlags), where smaps was
    /// read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<String>,
}

/// Every VMA of user memory in the text of a maps file; lines that are none are passed over.
pub fn parse_maps(text: &str) -> Vec<Vma> {
    text.lines().filter_map(parse_line).filter(|vma| vma.start < KERNEL_HALF).collect()
}

/// `START-END PERMISSIONS OFFSET DEVICE INODE PATH`; only the path may have spaces or be missing.
fn parse_line(line: &str) -> Option<Vma> {
    let mut fields = line.splitn(6, ' ');
    let (start, end) = fields.next()?.split_once('-')?;
    let permissions = fields.next()?;
    // Offset, device and inode are not needed.
    let path = fields.nth(3).unwrap_or_default().trim_start();
    Some(Vma {
        start: u64::from_str_radix(start, 16).ok()?,
        end: u64::from_str_radix(end, 16).ok()?,
        permissions: permissions.to_owned(),
        path: path.to_owned(),
        flags: None,
    })
}

/// The flags of each VMA in the text of an smaps file, by its first address.
pub fn parse_flags(smaps: &str) -> HashMap<u64, String> {
    let mut flags = HashMap::new();
    let mut start = None;
    for line in smaps.lines() {
        if let Some(words) = line.strip_prefix("VmFlags:") {
            if let Some(start) = start.take() {
                flags.insert(start, words.trim().to_owned());
            }
        } else if let Some(vma) = parse_line(line) {
            start = Some(vma.start);
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
7f0000000000-7f0000002000 rw-p 00000000 00:00 0 
Size:                  8 kB
VmFlags: rd wr mr mw me ac nh 
7f0000002000-7f0000003000 r--s 00001000 fe:00 1234                       /tmp/a b (deleted)
VmFlags: rd mr 
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
";

    #[test]
    fn lines_of_maps() {
        let vmas = parse_maps(SMAPS);
        assert_eq!(vmas.len(), 2);
        assert_eq!((vmas[0].start, vmas[0].end), (0x7f00_0000_0000, 0x7f00_0000_2000));
        assert_eq!((vmas[0].permissions.as_str(), vmas[0].path.as_str()), ("rw-p", ""));
        assert_eq!((vmas[1].permissions.as_str(), vmas[1].path.as_str()), ("r--s", "/tmp/a b (deleted)"));
    }

    #[test]
    fn flags_are_found_by_address() {
        let flags = parse_flags(SMAPS);
        assert_eq!(flags[&0x7f00_0000_0000], "rd wr mr mw me ac nh");
        assert_eq!(flags[&0x7f00_0000_2000], "rd mr");
        assert_eq!(flags.len(), 2);
    }
}
