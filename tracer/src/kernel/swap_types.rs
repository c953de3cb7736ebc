//! The numbers of the swap types that are no swap files, on a given kernel.
//!
//! They are macros (include/linux/swap.h), in no symbol table and in no type: the highest of 32 numbers,
//! given in a fixed order to the kinds that the kernel was configured with. Which kinds there are shows in
//! the functions and types that come and go with them, so that a vendor's backport is no trap.

use std::ops::RangeInclusive;

use super::{Configuration, SwapKind, SwapType};

/// Swap types in all: MAX_SWAPFILES_SHIFT is 5.
const NUMBERS: u32 = 32;

/// Which kinds of entries a kernel has, as far as they move the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwapFeatures {
    /// CONFIG_MEMORY_FAILURE.
    pub memory_failure: bool,
    /// CONFIG_MIGRATION.
    pub migration: bool,
    /// Migration entries know exclusive anonymous pages (5.19 on).
    pub exclusive_migration: bool,
    /// CONFIG_DEVICE_PRIVATE.
    pub device_private: bool,
    /// The device-exclusive kinds.
    pub device_exclusive: DeviceExclusive,
    /// PTE markers: CONFIG_PTE_MARKER in 5.19 to 6.1, always since 6.2.
    pub pte_marker: bool,
    /// SWP_SWAPIN_ERROR (5.19 to 6.1).
    pub swapin_error: bool,
}

/// The kinds of device-exclusive entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceExclusive {
    /// None: before 5.14, or not configured.
    None,
    /// One for writable, one for read-only pages (5.14 to 6.14).
    ReadAndWrite,
    /// One (6.15 on).
    Single,
}

/// What can be asked of a kernel's types and symbols.
pub trait KernelEvidence {
    /// Whether the kernel has a function of that name.
    fn has_function(&self, name: &str) -> bool;
    /// Whether the kernel has an enumerator of that name.
    fn has_enumerator(&self, name: &str) -> bool;
    /// Whether a struct of the kernel has that member.
    fn has_member(&self, structure: &str, member: &str) -> bool;
}

/// The special swap types of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwapTypes {
    /// Every special type, by number.
    pub table: Vec<SwapType>,
    /// How they were found, for people.
    pub source: String,
    /// What speaks against the table or was assumed, for people; `None` when nothing was.
    pub doubt: Option<String>,
}

impl SwapTypes {
    /// Derives the table from what the kernel consists of; the configuration, where there is one, settles
    /// what that leaves open and is compared with it.
    pub fn derive(kernel: &impl KernelEvidence, configuration: Option<&Configuration>) -> Self {
        let (features, source, doubt) = find_features(kernel, configuration);
        Self { table: features.table(), source, doubt }
    }

    /// The numbers of device-exclusive entries; `None` where there are none.
    pub fn exclusive(&self) -> Option<RangeInclusive<u32>> {
        self.range(SwapKind::is_exclusive)
    }

    /// The numbers of migration entries; `None` where there are none.
    pub fn migration(&self) -> Option<RangeInclusive<u32>> {
        self.range(SwapKind::is_migration)
    }

    /// The numbers of kinds that lie together.
    fn range(&self, is_one: impl Fn(SwapKind) -> bool) -> Option<RangeInclusive<u32>> {
        let mut numbers = self.table.iter().filter(|entry| is_one(entry.kind)).map(|entry| entry.number);
        let first = numbers.next()?;
        Some(first..=numbers.next_back().unwrap_or(first))
    }
}

impl SwapFeatures {
    /// The table: the kinds in the order of include/linux/swap.h, the last one with the highest number.
    pub fn table(&self) -> Vec<SwapType> {
        let exclusive_write = self.device_exclusive != DeviceExclusive::None;
        let kinds = [
            (self.memory_failure, SwapKind::Hwpoison),
            (self.migration, SwapKind::MigrationRead),
            (self.migration && self.exclusive_migration, SwapKind::MigrationReadExclusive),
            (self.migration, SwapKind::MigrationWrite),
            (self.device_private, SwapKind::DeviceWrite),
            (self.device_private, SwapKind::DeviceRead),
            (exclusive_write, SwapKind::DeviceExclusiveWrite),
            (self.device_exclusive == DeviceExclusive::ReadAndWrite, SwapKind::DeviceExclusiveRead),
            (self.pte_marker, SwapKind::PteMarker),
            (self.swapin_error, SwapKind::SwapinError),
        ];
        let present: Vec<SwapKind> =
            kinds.into_iter().filter(|(is_there, _)| *is_there).map(|(_, kind)| kind).collect();
        let first = NUMBERS - present.len() as u32;
        (first..).zip(present).map(|(number, kind)| SwapType { number, kind }).collect()
    }
}

/// Which kinds the kernel has, how that was found, and what remains in doubt.
fn find_features(
    kernel: &impl KernelEvidence,
    configuration: Option<&Configuration>,
) -> (SwapFeatures, String, Option<String>) {
    // mm/rmap.c defines either only under CONFIG_DEVICE_PRIVATE; 6.15 replaced the first by the second.
    let device_exclusive = if kernel.has_function("make_device_exclusive_range") {
        DeviceExclusive::ReadAndWrite
    } else if kernel.has_function("make_device_exclusive") {
        DeviceExclusive::Single
    } else {
        DeviceExclusive::None
    };
    // Before 5.14 there was device-private memory without exclusive entries, and no function that tells.
    let configured = |option| configuration.is_some_and(|configuration| configuration.is_set(option));
    let device_private = device_exclusive != DeviceExclusive::None || configured("DEVICE_PRIVATE");
    let memory_failure = kernel.has_function("memory_failure");
    let migration = kernel.has_function("migrate_pages");
    // 5.19 brought PG_anon_exclusive together with SWP_MIGRATION_READ_EXCLUSIVE, PTE markers as an option,
    // and SWP_SWAPIN_ERROR. 6.2 made markers unconditional and swap-in errors a marker, in the merge window
    // in which the mapcount of a whole compound page moved from `struct page` to `struct folio`.
    let exclusive_migration = kernel.has_enumerator("PG_anon_exclusive");
    let markers_always =
        kernel.has_member("folio", "_entire_mapcount") || kernel.has_member("page", "subpages_mapcount");
    let swapin_error = exclusive_migration && !markers_always;
    let mut doubt = None;
    let (pte_marker, marker_words) = match (markers_always, exclusive_migration, configuration) {
        (true, _, _) => (true, "PTE markers always".to_owned()),
        (false, false, _) => (false, "no PTE markers".to_owned()),
        (false, true, Some(configuration)) => {
            let set = configuration.is_set("PTE_MARKER");
            (set, format!("PTE_MARKER={} by {}", letter(set), configuration.source))
        }
        // mm/Kconfig: PTE_MARKER_UFFD_WP is on by default where the architecture has uffd-wp.
        (false, true, None) => {
            let words = "PTE_MARKER=y assumed (the default)";
            doubt = Some(format!("{words}: no kernel configuration is readable"));
            (true, words.to_owned())
        }
    };
    let features = SwapFeatures {
        memory_failure,
        migration,
        exclusive_migration,
        device_private,
        device_exclusive,
        pte_marker,
        swapin_error,
    };
    let found =
        [("DEVICE_PRIVATE", device_private), ("MEMORY_FAILURE", memory_failure), ("MIGRATION", migration)];
    let words: Vec<String> = found.iter().map(|(option, set)| format!("{option}={}", letter(*set))).collect();
    let check = match configuration {
        None => "no kernel configuration was readable to compare with".to_owned(),
        Some(configuration) => {
            let differing: Vec<&str> = found
                .iter()
                .filter(|(option, set)| configuration.is_set(option) != *set)
                .map(|(option, _)| *option)
                .collect();
            if differing.is_empty() {
                format!("{} agrees", configuration.source)
            } else {
                let words = format!("{} differs in {}", configuration.source, differing.join(", "));
                doubt = Some(words.clone());
                words
            }
        }
    };
    let source =
        format!("from the kernel's functions and types: {}, {marker_words}; {check}", words.join(", "));
    (features, source, doubt)
}

const fn letter(set: bool) -> char {
    if set { 'y' } else { 'n' }
}

#[cfg(test)]
mod tests {
    use super::super::configuration::tests::configuration;
    use super::*;

    /// A kernel by its functions, enumerators and members.
    struct Kernel(&'static [&'static str]);

    impl KernelEvidence for Kernel {
        fn has_function(&self, name: &str) -> bool {
            self.0.contains(&name)
        }
        fn has_enumerator(&self, name: &str) -> bool {
            self.0.contains(&name)
        }
        fn has_member(&self, structure: &str, member: &str) -> bool {
            self.0.contains(&format!("{structure}.{member}").as_str())
        }
    }

    /// The table as `name number` pairs.
    fn numbers(kernel: &Kernel, text: Option<&str>) -> (Vec<(&'static str, u32)>, String) {
        let configuration = text.map(configuration);
        let types = SwapTypes::derive(kernel, configuration.as_ref());
        (types.table.iter().map(|entry| (entry.kind.name(), entry.number)).collect(), types.source)
    }

    const BASE: [&str; 2] = ["memory_failure", "migrate_pages"];

    #[test]
    fn linux_5_15() {
        let kernel = Kernel(&[BASE[0], BASE[1], "make_device_exclusive_range"]);
        let (table, source) = numbers(&kernel, None);
        let expected = [
            ("hwpoison", 25),
            ("migration_read", 26),
            ("migration_write", 27),
            ("device_write", 28),
            ("device_read", 29),
            ("device_exclusive_write", 30),
            ("device_exclusive_read", 31),
        ];
        assert_eq!(table, expected);
        assert_eq!(
            source,
            "from the kernel's functions and types: DEVICE_PRIVATE=y, MEMORY_FAILURE=y, MIGRATION=y, \
             no PTE markers; no kernel configuration was readable to compare with"
        );
        let (table, _) = numbers(&Kernel(&BASE), None);
        assert_eq!(table, [("hwpoison", 29), ("migration_read", 30), ("migration_write", 31)]);
    }

    #[test]
    fn linux_6_1_with_and_without_markers() {
        let kernel = Kernel(&[BASE[0], BASE[1], "make_device_exclusive_range", "PG_anon_exclusive"]);
        let (table, _) = numbers(&kernel, Some("CONFIG_DEVICE_PRIVATE=y"));
        let expected = [
            ("hwpoison", 23),
            ("migration_read", 24),
            ("migration_read_exclusive", 25),
            ("migration_write", 26),
            ("device_write", 27),
            ("device_read", 28),
            ("device_exclusive_write", 29),
            ("device_exclusive_read", 30),
            ("swapin_error", 31),
        ];
        assert_eq!(table, expected);
        for configuration in [Some("CONFIG_PTE_MARKER=y"), None] {
            let (table, _) = numbers(&kernel, configuration);
            assert_eq!(table[0], ("hwpoison", 22));
            assert_eq!(table[6..8], [("device_exclusive_write", 28), ("device_exclusive_read", 29)]);
            assert_eq!(table[8..], [("pte_marker", 30), ("swapin_error", 31)]);
        }
        assert!(numbers(&kernel, None).1.contains("PTE_MARKER=y assumed"));
    }

    #[test]
    fn debian_6_1() {
        let kernel = Kernel(&[BASE[0], BASE[1], "PG_anon_exclusive"]);
        let text = "CONFIG_PTE_MARKER=y\nCONFIG_MEMORY_FAILURE=y\nCONFIG_MIGRATION=y";
        let (table, source) = numbers(&kernel, Some(text));
        let expected = [
            ("hwpoison", 26),
            ("migration_read", 27),
            ("migration_read_exclusive", 28),
            ("migration_write", 29),
            ("pte_marker", 30),
            ("swapin_error", 31),
        ];
        assert_eq!(table, expected);
        assert!(source.ends_with("PTE_MARKER=y by test; test agrees"), "{source}");
    }

    #[test]
    fn linux_6_12() {
        const NEWER: [&str; 2] = ["PG_anon_exclusive", "folio._entire_mapcount"];
        let kernel = Kernel(&[BASE[0], BASE[1], NEWER[0], NEWER[1], "make_device_exclusive_range"]);
        let (table, source) = numbers(&kernel, Some("CONFIG_MIGRATION=y"));
        let expected = [
            ("hwpoison", 23),
            ("migration_read", 24),
            ("migration_read_exclusive", 25),
            ("migration_write", 26),
            ("device_write", 27),
            ("device_read", 28),
            ("device_exclusive_write", 29),
            ("device_exclusive_read", 30),
            ("pte_marker", 31),
        ];
        assert_eq!(table, expected);
        assert!(source.ends_with("test differs in DEVICE_PRIVATE, MEMORY_FAILURE"), "{source}");
        let doubt = |text| SwapTypes::derive(&kernel, Some(&configuration(text))).doubt;
        assert_eq!(doubt("CONFIG_MIGRATION=y").unwrap(), "test differs in DEVICE_PRIVATE, MEMORY_FAILURE");
        let text = "CONFIG_MIGRATION=y\nCONFIG_DEVICE_PRIVATE=y\nCONFIG_MEMORY_FAILURE=y";
        assert_eq!(doubt(text), None);
        let (table, _) = numbers(&Kernel(&[BASE[0], BASE[1], NEWER[0], NEWER[1]]), None);
        assert_eq!(table[0], ("hwpoison", 27));
        // Without memory failure, only the lowest number goes.
        let (table, _) = numbers(&Kernel(&[BASE[1], NEWER[0], NEWER[1]]), None);
        assert_eq!(table[0], ("migration_read", 28));
    }

    #[test]
    fn linux_6_15_has_one_exclusive_type() {
        let kernel = Kernel(&[
            BASE[0],
            BASE[1],
            "make_device_exclusive",
            "PG_anon_exclusive",
            "folio._entire_mapcount",
        ]);
        let types = SwapTypes::derive(&kernel, None);
        assert_eq!(types.exclusive(), Some(30..=30));
        assert_eq!(types.table[0], SwapType { number: 24, kind: SwapKind::Hwpoison });
        assert_eq!(types.table.last(), Some(&SwapType { number: 31, kind: SwapKind::PteMarker }));
    }

    #[test]
    fn device_private_memory_before_exclusive_entries() {
        let kernel = Kernel(&BASE);
        let (table, _) = numbers(&kernel, Some("CONFIG_DEVICE_PRIVATE=y"));
        assert_eq!(table[3..], [("device_write", 30), ("device_read", 31)]);
        assert_eq!(SwapTypes::derive(&kernel, None).exclusive(), None);
    }
}
