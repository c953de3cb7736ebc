//! Where the `struct page` of each page frame is.

use tracer_common::globals::MemoryMap;

use super::{Btf, Symbols};

/// The variable that holds it on x86-64 (arch/x86/kernel/head64.c).
const BASE: &str = "vmemmap_base";
/// The table of tables with a record of each section of memory (mm/sparse.c), and the type of the records.
const SECTIONS: &str = "mem_section";
/// What fills the one map of all memory; without it (CONFIG_SPARSEMEM_VMEMMAP) each section has a map of its own.
const ONE_MAP: &str = "vmemmap_populate";

/// How it is found on a kernel.
///
/// # Errors
/// What is needed and not there.
pub fn find(symbols: &Symbols, btf: &Btf, page_size: u64) -> Result<MemoryMap, String> {
    if let Some(base_symbol) = symbols.address(BASE) {
        return Ok(MemoryMap { base_symbol, ..MemoryMap::UNKNOWN });
    }
    let Some(sections_symbol) = symbols.address(SECTIONS) else {
        return Err(format!("neither {BASE} nor {SECTIONS} has a visible address"));
    };
    if !symbols.exists(ONE_MAP) {
        return Err(format!("there is no {ONE_MAP}: memory has several memory maps"));
    }
    let map = records(btf, page_size).map(|records| MemoryMap { sections_symbol, ..records });
    map.ok_or_else(|| format!("the records of {SECTIONS} are not in BTF"))
}

/// How sections are recorded.
fn records(btf: &Btf, page_size: u64) -> Option<MemoryMap> {
    let bit = |name| u32::try_from(btf.enumerator(name)?).ok().filter(|bit| *bit < u64::BITS);
    let section_size = u32::try_from(btf.size_of(SECTIONS)?).ok()?;
    Some(MemoryMap {
        section_mask: !((1 << bit("SECTION_MAP_LAST_BIT")?) - 1),
        section_present: 1 << bit("SECTION_HAS_MEM_MAP_BIT")?,
        section_word: btf.offset_of(SECTIONS, "section_mem_map")?.offset,
        section_size,
        // SECTIONS_PER_ROOT.
        sections: u32::try_from(page_size).ok()?.checked_div(section_size)?,
        ..MemoryMap::UNKNOWN
    })
}
