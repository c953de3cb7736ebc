//! From a page to the head of its folio.

/// A mask has all of these bits, and no address of a `struct page` does: the memory map of x86-64 and of arm64 ends
/// below (Documentation/arch/x86/x86_64/mm.rst, Documentation/arch/arm64/memory.rst).
const MASK_BITS: u64 = 0xffff_ffff_0000_0000;

/// The head of the folio that `page` belongs to, by the word that a tail page keeps for it.
///
/// A tail's word has bit 0 set. Up to 7.0 (`page.compound_head`), and in kernels without
/// CONFIG_HUGETLB_PAGE_OPTIMIZE_VMEMMAP, the rest is the head's address. Since 7.1 (`page.compound_info`,
/// include/linux/page-flags.h, `_compound_head`) it is a mask to be laid over the tail's own address where the size
/// of `struct page` is a power of two. In every other page the word is something else with bit 0 clear.
#[inline(always)]
pub const fn head(page: u64, word: u64) -> u64 {
    if word & 1 == 0 {
        page
    } else if word & MASK_BITS == MASK_BITS {
        page & word
    } else {
        word - 1
    }
}

#[cfg(test)]
mod tests {
    use super::head;

    const HEAD: u64 = 0xffff_ea00_0812_8000;
    /// `GENMASK(63, order + 6) | 1` of a folio of 512 pages.
    const MASK: u64 = !0x7fff | 1;

    #[test]
    fn a_page_alone_and_a_head_are_their_own_heads() {
        // What else the word may be: a list, a device's page map, nothing.
        for word in [0, HEAD + 8, 0xdead_0000_0000_0100, 0xffff_8880_0401_2000] {
            assert_eq!(head(HEAD, word), HEAD);
        }
    }

    #[test]
    fn a_tail_names_its_head_by_a_pointer_or_by_a_mask() {
        for tail in (1..512).map(|index| HEAD + index * 64) {
            assert_eq!(head(tail, HEAD | 1), HEAD);
            assert_eq!(head(tail, MASK), HEAD);
        }
        // The largest hugetlb page of arm64: 16 GiB of 64 KiB pages; the smallest folio.
        assert_eq!(head(HEAD + 64, !0x7f | 1), HEAD);
        let huge = 0xffff_ea00_0800_0000;
        assert_eq!(head(huge + 0x7f_ffc0, !0x7f_ffff | 1), huge);
    }
}
