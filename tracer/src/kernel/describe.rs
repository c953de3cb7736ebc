//! Filling a [`Description`] from the kernel's types and files.

use std::collections::BTreeMap;

use tracer_common::globals::{Layout, OFFSET_ABSENT};

use super::{Btf, Description, EntryFormatRecord, NamedValue, SwapTypes, SystemFiles};

/// Enumerations that events and their readers need besides the page flags.
const ENUMERATIONS: [&str; 6] =
    ["ttu_flags", "dma_data_direction", "migrate_mode", "migrate_reason", "vm_fault_reason", "fault_flag"];

impl Description {
    /// Describes the kernel of these types and files. The base of the memory map stays unknown: only a
    /// program inside the kernel can read it.
    pub(super) fn of_kernel(
        system: &SystemFiles,
        btf: &Btf,
        layout: &Layout,
        swap_types: SwapTypes,
        entry_format: Option<EntryFormatRecord>,
        page_size: u64,
    ) -> Self {
        let kernel = |name: &str| system.line(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
        Self {
            release: system.release(),
            version: kernel("version"),
            machine: std::env::consts::ARCH.to_owned(),
            build_id: std::fs::read(system.path("/sys/kernel/notes")).ok().and_then(|notes| build_id(&notes)),
            btf_id: Some(btf.identity()),
            possible_cpus: system
                .line("/sys/devices/system/cpu/possible")
                .and_then(|list| count_of_list(&list))
                .unwrap_or(0),
            page_size,
            struct_page_size: btf.size_of("page"),
            vmemmap_base: None,
            page_flags: page_flags(btf),
            swap_types: swap_types.table,
            swap_types_source: swap_types.source,
            entry_format,
            // include/uapi/linux/bpf.h; session::missed reads it.
            counts_skipped_kprobes: btf.offset_of("bpf_link_info", "perf_event.kprobe.missed").is_some(),
            enums: ENUMERATIONS
                .into_iter()
                .map(|name| (name.to_owned(), btf.enumeration(name)))
                .filter(|(_, values)| !values.is_empty())
                .collect(),
            layout: offsets(layout),
        }
    }
}

/// `enum pageflags`: every flag with its bit, aliases (PG_swapcache is PG_owner_priv_1) after the flag that
/// they share a bit with, as in the source; without the count at its end.
fn page_flags(btf: &Btf) -> Vec<NamedValue> {
    btf.enumeration("pageflags").into_iter().filter(|flag| flag.name.starts_with("PG_")).collect()
}

/// The offsets that are known, by name.
fn offsets(layout: &Layout) -> BTreeMap<String, u32> {
    Layout::PATHS
        .iter()
        .filter_map(|(name, _)| Some(((*name).to_owned(), layout.get(name)?)))
        .filter(|(_, offset)| *offset != OFFSET_ABSENT)
        .collect()
}

/// The GNU build id in ELF notes, in hex.
fn build_id(mut notes: &[u8]) -> Option<String> {
    const NT_GNU_BUILD_ID: usize = 3;
    loop {
        let word = |index: usize| {
            let bytes = notes.get(index * 4..index * 4 + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
        };
        let (name_length, length, kind) = (word(0)?, word(1)?, word(2)?);
        // Name and content are padded to four bytes.
        let content = 12 + name_length.checked_next_multiple_of(4)?;
        let bytes = notes.get(content..content.checked_add(length)?)?;
        if kind == NT_GNU_BUILD_ID && notes.get(12..12 + name_length) == Some(b"GNU\0") {
            return Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        notes = notes.get(content + length.checked_next_multiple_of(4)?..)?;
    }
}

/// How many numbers a list like `0-3,8` has.
fn count_of_list(list: &str) -> Option<u32> {
    list.split(',').try_fold(0_u32, |count, part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        count.checked_add(last.checked_sub(first)?.checked_add(1)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_ids_are_found_among_notes() {
        let mut notes = Vec::new();
        for (name, kind, content) in
            [(&b"Linux\0"[..], 0x100_u32, &b"abcde"[..]), (b"Xen\0", 3, b"no"), (b"GNU\0", 3, b"\x01\xfe")]
        {
            for word in [name.len() as u32, content.len() as u32, kind] {
                notes.extend(word.to_le_bytes());
            }
            for part in [name, content] {
                notes.extend(part);
                notes.resize(notes.len().next_multiple_of(4), 0);
            }
        }
        assert_eq!(build_id(&notes).as_deref(), Some("01fe"));
        for length in 0..notes.len() - 4 {
            assert_eq!(build_id(&notes[..length]), None, "cut at {length}");
        }
        assert_eq!(build_id(&[0xff; 40]), None);
        assert_eq!(build_id(&[0; 40]), None);
    }

    #[test]
    fn lists_are_counted() {
        assert_eq!(count_of_list("0"), Some(1));
        assert_eq!(count_of_list("0-3,8"), Some(5));
        for wrong in ["", "3-0", "a", "0-4294967295,1"] {
            assert_eq!(count_of_list(wrong), None, "{wrong}");
        }
    }
}
