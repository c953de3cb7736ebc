//! Flag words and enumerations with the kernel's names for their bits and values.

use tracer_common::event::UNKNOWN;

use crate::kernel::NamedValue;

/// Names of the bits of one kind of flag word.
#[derive(Clone, Debug)]
pub struct FlagNames {
    names: [Option<Box<str>>; 64],
    known: u64,
    /// Bits above the named ones mean something else and are not shown.
    ignore_rest: bool,
}

impl FlagNames {
    fn new(ignore_rest: bool) -> Self {
        Self { names: [const { None }; 64], known: 0, ignore_rest }
    }

    fn name_bit(&mut self, bit: u32, name: &str) {
        let Some(slot) = self.names.get_mut(bit as usize) else { return };
        if slot.is_none() {
            *slot = Some(name.into());
            self.known |= 1 << bit;
        }
    }

    /// From an enumeration of masks. Masks of several bits are no flags and are left out.
    pub fn from_masks(values: &[NamedValue]) -> Self {
        let mut flags = Self::new(false);
        for value in values {
            let mask = value.value.cast_unsigned();
            if mask.is_power_of_two() {
                flags.name_bit(mask.trailing_zeros(), &value.name);
            }
        }
        flags
    }

    /// From a table of bit numbers.
    pub fn from_bits(bits: &[(u32, &str)]) -> Self {
        let mut flags = Self::new(false);
        for (bit, name) in bits {
            flags.name_bit(*bit, name);
        }
        flags
    }

    /// The bits that are set, and the rest without names.
    pub fn split(&self, value: u64) -> (impl Iterator<Item = &str> + Clone, u64) {
        let rest = if self.ignore_rest { 0 } else { value & !self.known };
        let named = value & self.known;
        let bits = std::iter::successors((named != 0).then_some(named), |left| {
            let left = left & (left - 1);
            (left != 0).then_some(left)
        });
        let names = bits.filter_map(|left| self.names[left.trailing_zeros() as usize].as_deref());
        (names, rest)
    }
}

/// Names of page flags: the bit's first name, or another one for pages backed by swap.
#[derive(Clone, Debug)]
pub struct PageFlagNames {
    any: FlagNames,
    swap_backed: FlagNames,
    swap_backed_mask: u64,
}

/// Second names of bits that mean this in anonymous and shared memory (include/linux/page-flags.h): the
/// kernel, too, asks for PG_swapbacked before it takes PG_owner_priv_1 for PG_swapcache
/// (`folio_test_swapcache`).
const SWAP_BACKED_ALIASES: [&str; 2] = ["PG_swapcache", "PG_anon_exclusive"];

impl PageFlagNames {
    /// From `enum pageflags`: bit numbers with names as in the kernel. Names lose their `PG_`.
    pub fn new(values: &[NamedValue]) -> Self {
        let bits: Vec<(u32, &str)> = values
            .iter()
            .filter(|value| (0..64).contains(&value.value))
            .filter_map(|value| Some((value.value as u32, value.name.strip_prefix("PG_")?)))
            .collect();
        let mut any = FlagNames::from_bits(&bits);
        any.ignore_rest = true;
        let mut swap_backed = any.clone();
        for value in values {
            if let Some(alias) = SWAP_BACKED_ALIASES.iter().find(|alias| **alias == value.name)
                && let Some(slot) =
                    usize::try_from(value.value).ok().and_then(|bit| swap_backed.names.get_mut(bit))
            {
                *slot = Some(alias["PG_".len()..].into());
            }
        }
        let swap_backed_bit = bits.iter().find(|(_, name)| *name == "swapbacked").map(|(bit, _)| *bit);
        Self { any, swap_backed, swap_backed_mask: swap_backed_bit.map_or(0, |bit| 1 << bit) }
    }

    /// The names for that flag word; `None` when it could not be read or the kernel's names are unknown.
    pub fn names(&self, flags: u64) -> Option<&FlagNames> {
        if flags == UNKNOWN || self.any.known == 0 {
            return None;
        }
        Some(if flags & self.swap_backed_mask != 0 { &self.swap_backed } else { &self.any })
    }
}

/// Names of the values of an enumeration.
#[derive(Clone, Debug, Default)]
pub struct ValueNames(Vec<(u64, Box<str>)>);

impl ValueNames {
    /// From a table of values.
    pub fn new(values: &[NamedValue]) -> Self {
        Self(values.iter().map(|value| (value.value.cast_unsigned(), value.name.as_str().into())).collect())
    }

    /// From values with fixed names.
    pub fn fixed(values: &[(u64, &str)]) -> Self {
        Self(values.iter().map(|(value, name)| (*value, (*name).into())).collect())
    }

    /// The name of a value.
    pub fn name(&self, value: u64) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == value).map(|(_, name)| &**name)
    }
}

/// `enum dma_data_direction`, the same in every version (include/linux/dma-direction.h).
pub const DMA_DIRECTIONS: [(u64, &str); 4] =
    [(0, "DMA_BIDIRECTIONAL"), (1, "DMA_TO_DEVICE"), (2, "DMA_FROM_DEVICE"), (3, "DMA_NONE")];

/// `DMA_ATTR_*`, preprocessor constants that BTF does not have (5.15 to 6.12, include/linux/dma-mapping.h).
pub const DMA_ATTRIBUTES: [(u32, &str); 8] = [
    (1, "DMA_ATTR_WEAK_ORDERING"),
    (2, "DMA_ATTR_WRITE_COMBINE"),
    (4, "DMA_ATTR_NO_KERNEL_MAPPING"),
    (5, "DMA_ATTR_SKIP_CPU_SYNC"),
    (6, "DMA_ATTR_FORCE_CONTIGUOUS"),
    (7, "DMA_ATTR_ALLOC_SINGLE_PAGES"),
    (8, "DMA_ATTR_NO_WARN"),
    (9, "DMA_ATTR_PRIVILEGED"),
];

/// `VM_*` below bit 32, preprocessor constants that BTF does not have (5.15 to 6.12, include/linux/mm.h).
/// Bits that a version or an architecture uses otherwise (11, 24 and those from 32 on) have no name here.
pub const VM_FLAGS: [(u32, &str); 30] = [
    (0, "VM_READ"),
    (1, "VM_WRITE"),
    (2, "VM_EXEC"),
    (3, "VM_SHARED"),
    (4, "VM_MAYREAD"),
    (5, "VM_MAYWRITE"),
    (6, "VM_MAYEXEC"),
    (7, "VM_MAYSHARE"),
    (8, "VM_GROWSDOWN"),
    (9, "VM_UFFD_MISSING"),
    (10, "VM_PFNMAP"),
    (12, "VM_UFFD_WP"),
    (13, "VM_LOCKED"),
    (14, "VM_IO"),
    (15, "VM_SEQ_READ"),
    (16, "VM_RAND_READ"),
    (17, "VM_DONTCOPY"),
    (18, "VM_DONTEXPAND"),
    (19, "VM_LOCKONFAULT"),
    (20, "VM_ACCOUNT"),
    (21, "VM_NORESERVE"),
    (22, "VM_HUGETLB"),
    (23, "VM_SYNC"),
    (25, "VM_WIPEONFORK"),
    (26, "VM_DONTDUMP"),
    (27, "VM_SOFTDIRTY"),
    (28, "VM_MIXEDMAP"),
    (29, "VM_HUGEPAGE"),
    (30, "VM_NOHUGEPAGE"),
    (31, "VM_MERGEABLE"),
];

/// `pool_bits` of `tracer_common::event::SwiotlbMapSingle`.
pub const POOL_FLAGS: [(u32, &str); 2] = [(0, "force_bounce"), (1, "for_alloc")];

/// `enum migrate_vma_direction`, the same in 5.15 to 7.3 as far as each has them (include/linux/migrate.h).
pub const MIGRATE_SOURCES: [(u32, &str); 4] =
    [(0, "system"), (1, "device_private"), (2, "device_coherent"), (3, "compound")];

/// HMM_PFN_REQ_FAULT and HMM_PFN_REQ_WRITE on 64 bits, the same in 5.15 to 7.3 (include/linux/hmm.h).
pub const FAULT_REQUESTS: [(u32, &str); 2] = [(63, "fault"), (62, "write")];

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, value: i64) -> NamedValue {
        NamedValue { name: name.into(), value }
    }

    fn split(flags: &FlagNames, value: u64) -> (Vec<&str>, u64) {
        let (names, rest) = flags.split(value);
        (names.collect(), rest)
    }

    #[test]
    fn masks_name_single_bits_and_keep_the_rest() {
        let flags = FlagNames::from_masks(&[
            named("TTU_SYNC", 0x10),
            named("TTU_HWPOISON", 0x20),
            named("HINDEX", 0xf0000),
            named("ZERO", 0),
            named("MINUS", -1),
        ]);
        assert_eq!(split(&flags, 0x30), (vec!["TTU_SYNC", "TTU_HWPOISON"], 0));
        assert_eq!(split(&flags, 0x10_0010), (vec!["TTU_SYNC"], 0x10_0000));
        assert_eq!(split(&flags, 0), (vec![], 0));
    }

    #[test]
    fn page_flags_drop_the_zone_and_know_swap_backed_pages() {
        let names = PageFlagNames::new(&[
            named("PG_locked", 0),
            named("PG_owner_priv_1", 10),
            named("PG_swapbacked", 17),
            named("__NR_PAGEFLAGS", 21),
            named("PG_swapcache", 10),
        ]);
        let word = 1 << 63 | 1 << 21 | 1 << 10 | 1;
        assert_eq!(split(names.names(word).unwrap(), word), (vec!["locked", "owner_priv_1"], 0));
        let word = word | 1 << 17;
        assert_eq!(split(names.names(word).unwrap(), word), (vec!["locked", "swapcache", "swapbacked"], 0));
        assert!(names.names(UNKNOWN).is_none());
        assert!(PageFlagNames::new(&[]).names(1).is_none());
    }

    #[test]
    fn values_have_names_or_none() {
        let names = ValueNames::fixed(&DMA_DIRECTIONS);
        assert_eq!(names.name(2), Some("DMA_FROM_DEVICE"));
        assert_eq!(names.name(7), None);
        assert_eq!(ValueNames::new(&[named("MR_SYSCALL", 3)]).name(3), Some("MR_SYSCALL"));
    }
}
