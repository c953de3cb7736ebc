//! The one definition of every event.
//!
//! A record is a [`Header`] followed by the body of its [`Kind`], all little-endian, 8-byte aligned,
//! without padding that is not named. The [buffers](crate::buffer) carry exactly these bytes and so does the trace file.
//!
//! Addresses of kernel objects (`page`, `mm`, `device`) identify the object while it lives. A folio and
//! its head page have the same address; user space turns it into a pfn with the base of the memory map.
//! Flag words are the kernel's raw words: the trace file's header has the tables that name their bits.

mod exclusive;
mod field;
mod fork;
mod hmm;
mod migrate;
mod mlock;
mod process;
mod rmap;
mod swiotlb;

pub use exclusive::*;
pub use field::{Field, Member, Role, Type};
pub use fork::*;
pub use hmm::*;
pub use migrate::*;
pub use mlock::*;
pub use process::*;
pub use rmap::*;
pub use swiotlb::*;

use crate::family::Family;

/// Length of a process name in the kernel (`TASK_COMM_LEN`, include/linux/sched.h), with its NUL.
pub const COMM_LEN: usize = 16;

/// Longest device name carried by [`DeviceName`], with its NUL.
pub const DEVICE_NAME_LEN: usize = 48;

/// [`Header::stack`] when no stack was asked for.
pub const STACK_NONE: i32 = -1;

/// `mapcount` when this kernel gives no cheap count for a large folio.
pub const MAPCOUNT_UNKNOWN: i32 = i32::MIN;

/// An unsigned field whose value could not be read on this kernel.
pub const UNKNOWN: u64 = u64::MAX - 0x1000;

/// The same for a signed result, for example a hidden return value.
pub const RESULT_UNKNOWN: i32 = i32::MIN;

/// A count that was not taken: nothing called for looking, or this kernel does not let the program look.
pub const UNCOUNTED: u32 = u32::MAX;

/// A few bits whose word could not be read on this kernel.
pub const BITS_UNKNOWN: u32 = u32::MAX;

/// `swiotlb_map`'s and `swiotlb_tbl_map_single`'s answer when no slot was free
/// (`DMA_MAPPING_ERROR`, include/linux/dma-mapping.h).
pub const MAPPING_ERROR: u64 = u64::MAX;

/// Implemented only here, by the `repr(C)` structures of integers without hidden padding.
trait Plain: Copy {}

impl Plain for Header {}

fn read_plain<T: Plain>(bytes: &[u8]) -> Option<T> {
    if bytes.len() != size_of::<T>() {
        return None;
    }
    // SAFETY: the length was checked, the read need not be aligned, and every bit pattern is a valid
    // value of a structure of integers.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

fn plain_bytes<T: Plain>(value: &T) -> &[u8] {
    // SAFETY: a `Plain` value is `size_of::<T>()` initialised bytes: integers, no padding.
    unsafe { core::slice::from_raw_parts(core::ptr::from_ref(value).cast(), size_of::<T>()) }
}

/// The start of every record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Header {
    /// `CLOCK_MONOTONIC` in nanoseconds, taken when the function returned (or was entered, for
    /// events that are taken at entry).
    pub time: u64,
    /// Thread id of `current` in the initial pid namespace. In an interrupt: of the interrupted task.
    pub tid: u32,
    /// Process (thread group) id of `current`.
    pub pid: u32,
    /// A [`Kind`] as its number.
    pub kind: u16,
    /// CPU that ran the program.
    pub cpu: u16,
    /// Kernel stack: an id in the stack table; [`STACK_NONE`] when none was asked for, another negative
    /// errno when the kernel could not store it.
    pub stack: i32,
}

impl Header {
    /// Decodes the header at the start of a record; `None` when there are too few bytes.
    pub fn decode(record: &[u8]) -> Option<Self> {
        read_plain(record.get(..size_of::<Self>())?)
    }

    /// The bytes of the header, as they are in a buffer and in the file.
    pub fn bytes(&self) -> &[u8] {
        plain_bytes(self)
    }
}

/// What is asked of events of any kind, compiled for each: what follows from the kind is worked out beforehand, and is
/// not looked up for each event.
pub trait Question {
    /// What comes of it.
    type Answer;

    /// The answer of a body of the kind with that number.
    fn ask<const KIND: u16>(self, body: &[u8]) -> Self::Answer;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $number:literal, $name:literal, $body:ty $(, without $hidden:ident)*;)*) => {
        /// What a record is. The high byte is its [`Family`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Kind { $($(#[$doc])* $kind = $number,)* }

        impl Kind {
            /// Every kind, in the order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// The name used on the command line and in every output.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),* }
            }

            /// The kind of that number in a [`Header`].
            #[inline]
            pub const fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$kind),)* _ => None }
            }

            /// Size of the body in bytes, without the [`Header`].
            pub const fn body_size(self) -> usize {
                match self { $(Self::$kind => size_of::<$body>()),* }
            }

            /// The members of the body, in their order and without a gap.
            pub const fn members(self) -> &'static [Member] {
                match self { $(Self::$kind => <$body>::MEMBERS),* }
            }

            /// The fields, in the order in which they are shown.
            pub const fn fields(self) -> &'static [Field] {
                match self {
                    $(Self::$kind => {
                        const HIDDEN: &[&str] = &[$(stringify!($hidden)),*];
                        const FIELDS: [Field; <$body>::FIELDS.len() - HIDDEN.len()] =
                            field::without(<$body>::FIELDS, HIDDEN);
                        &FIELDS
                    })*
                }
            }
        }

        /// What a record says, by its [`Kind`]. A discriminant without padding behind it lets the compiler copy a
        /// record straight to where it is decoded to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u64)]
        pub enum Body { $($(#[$doc])* $kind($body),)* }

        impl Body {
            /// Decodes the body of a record; `None` when `bytes` has not exactly the size of that kind's body.
            #[inline]
            pub fn decode(kind: Kind, bytes: &[u8]) -> Option<Self> {
                Self::decode_into(kind, bytes, Some, || None)
            }

            /// The same, made into something of which the body is a part, by `done` or `failed`. It is built in its
            /// place: a body that is copied while it is still on its way to memory stalls the CPU.
            #[inline]
            pub fn decode_into<T>(
                kind: Kind,
                bytes: &[u8],
                done: impl FnOnce(Self) -> T,
                failed: impl FnOnce() -> T,
            ) -> T {
                match kind {
                    $(Kind::$kind => match read_plain(bytes) {
                        Some(body) => done(Self::$kind(body)),
                        None => failed(),
                    },)*
                }
            }

            /// Asks the kind's own copy of `question`.
            #[inline]
            pub fn ask<Q: Question>(&self, question: Q) -> Q::Answer {
                match self { $(Self::$kind(body) => question.ask::<$number>(plain_bytes(body)),)* }
            }

            /// The kind of the record.
            #[inline]
            pub const fn kind(&self) -> Kind {
                match self { $(Self::$kind(_) => Kind::$kind,)* }
            }

            /// The bytes of the body, as they are in a buffer and in the file.
            pub fn bytes(&self) -> &[u8] {
                match self { $(Self::$kind(body) => plain_bytes(body),)* }
            }
        }

        $(const _: () = assert!(size_of::<$body>() % 8 == 0 && align_of::<$body>() <= 8);)*
    };
}

kinds! {
    /// A process or thread was made.
    ProcessFork = 0x0001, "process_fork", ProcessFork;
    /// A process runs a new program.
    ProcessExec = 0x0002, "process_exec", ProcessExec;
    /// A thread ended.
    ProcessExit = 0x0003, "process_exit", ProcessExit;
    /// A thread changed its name.
    ProcessRename = 0x0004, "process_rename", ProcessRename;

    /// A call of `make_device_exclusive_range` (5.14 to 6.14) or `make_device_exclusive` (6.15 on).
    MakeDeviceExclusive = 0x0101, "make_device_exclusive", MakeDeviceExclusive;
    /// One page that such a call made exclusive and handed to the driver.
    ExclusivePage = 0x0102, "exclusive_page", ExclusivePage;
    /// `page_make_device_exclusive_one`: one VMA visited on the way (5.14 to 6.14).
    ExclusiveVma = 0x0103, "exclusive_vma", VmaVisit, without ttu_flags, without entry_before, without entry_after;
    /// `restore_exclusive_pte`: an exclusive entry became a present one again.
    RestoreExclusive = 0x0104, "restore_exclusive", RestoreExclusive;
    /// `do_swap_page` met an exclusive entry: a CPU access that revokes.
    ExclusiveFault = 0x0105, "exclusive_fault", ExclusiveFault;

    /// `unmap_page_range`: page tables are emptied, exclusive entries with them. Only of address spaces in
    /// which pages were made exclusive.
    ExclusiveZap = 0x0106, "exclusive_zap", ExclusiveZap;
    /// `move_page_tables`: mremap moved entries, exclusive ones as they are. Only of such address spaces.
    ExclusiveMove = 0x0107, "exclusive_move", ExclusiveMove;
    /// `exit_mmap`: the end of such an address space.
    ExclusiveExit = 0x0108, "exclusive_exit", ExclusiveExit;

    /// `try_to_unmap` of one folio.
    TryToUnmap = 0x0201, "try_to_unmap", FolioWalk;
    /// `try_to_migrate` of one folio.
    TryToMigrate = 0x0202, "try_to_migrate", FolioWalk;
    /// `try_to_unmap_one`: one VMA visited.
    TryToUnmapOne = 0x0203, "try_to_unmap_one", VmaVisit;
    /// `try_to_migrate_one`: one VMA visited.
    TryToMigrateOne = 0x0204, "try_to_migrate_one", VmaVisit;

    /// A migration entry was set (tracepoint `migrate:set_migration_pte`).
    MigrationEntrySet = 0x0301, "migration_entry_set", MigrationEntry;
    /// A migration entry was replaced by a present one (tracepoint `migrate:remove_migration_pte`).
    MigrationEntryRemoved = 0x0302, "migration_entry_removed", MigrationEntry;
    /// `remove_migration_pte` visited one VMA.
    RemoveMigrationPte = 0x0303, "remove_migration_pte", RemoveMigrationPte;
    /// A `migrate_pages` call ended (tracepoint `migrate:mm_migrate_pages`).
    MigratePages = 0x0304, "migrate_pages", MigratePages;
    /// `migrate_vma_setup` collected pages for a device.
    MigrateVmaSetup = 0x0305, "migrate_vma_setup", MigrateVmaSetup;
    /// `move_to_new_folio` (5.18 on) or `move_to_new_page` failed: the page could not be replaced.
    MigrateRefused = 0x0306, "migrate_refused", MigrateRefused;

    /// `page_mlock`: the walk that looks for a VM_LOCKED mapping (5.14 to 5.17).
    PageMlock = 0x0401, "page_mlock", FolioWalk, without ttu_flags;
    /// `page_mlock_one`: one VMA visited by that walk.
    PageMlockOne = 0x0402, "page_mlock_one", VmaVisit, without ttu_flags, without entry_before, without entry_after;
    /// `mlock_folio` (5.18 on) or `mlock_vma_page` (up to 5.17).
    MlockFolio = 0x0403, "mlock_folio", FolioMlock;
    /// `munlock_folio`, `munlock_page` (5.18 to 6.2) or `munlock_vma_page` (up to 5.17).
    MunlockFolio = 0x0404, "munlock_folio", FolioMlock;
    /// `mlock_fixup`: VM_LOCKED of a VMA range changes.
    MlockFixup = 0x0405, "mlock_fixup", MlockFixup;

    /// `copy_page_range`: fork copies the page tables of one VMA.
    CopyPageRange = 0x0501, "copy_page_range", CopyPageRange;

    /// The name of a device, sent before its first event.
    DeviceName = 0x0601, "device_name", DeviceName;
    /// `swiotlb_map`: the DMA API bounces one mapping.
    SwiotlbMap = 0x0602, "swiotlb_map", SwiotlbMap;
    /// `swiotlb_tbl_map_single`: slots were taken from a pool, or could not be.
    SwiotlbMapSingle = 0x0603, "swiotlb_map_single", SwiotlbMapSingle;
    /// `swiotlb_tbl_unmap_single`, at its entry: slots go back to their pool.
    SwiotlbUnmapSingle = 0x0604, "swiotlb_unmap_single", SwiotlbUnmapSingle;
    /// `swiotlb_sync_single_for_cpu`, at its entry.
    SwiotlbSyncForCpu = 0x0605, "swiotlb_sync_for_cpu", SwiotlbSync;
    /// `swiotlb_sync_single_for_device`, at its entry.
    SwiotlbSyncForDevice = 0x0606, "swiotlb_sync_for_device", SwiotlbSync;
    /// `swiotlb_alloc`: coherent memory from a restricted pool.
    SwiotlbAlloc = 0x0607, "swiotlb_alloc", SwiotlbPages;
    /// `swiotlb_free`: coherent memory back to a restricted pool.
    SwiotlbFree = 0x0608, "swiotlb_free", SwiotlbPages;
    /// At the return of an unmap, its first slot is not free: it was not given back, or was taken again at once.
    SwiotlbSlotKept = 0x0609, "swiotlb_slot_kept", SwiotlbSlotKept;
    /// A mapping that did not bounce, of a device whose pool makes every mapping bounce.
    DmaMapDirect = 0x060a, "dma_map_direct", DmaMapDirect;

    /// `migrate_vma_pages`: the pages that a driver copied take the place of those that were collected.
    MigrateVmaPages = 0x0701, "migrate_vma_pages", MigrateVma;
    /// `migrate_vma_finalize`: the end of one migration of a VMA's pages from or to a device.
    MigrateVmaFinalize = 0x0702, "migrate_vma_finalize", MigrateVma;
    /// `migrate_device_range` or `migrate_device_pfns`: a driver collected pages of its device, wherever they are mapped.
    MigrateDeviceRange = 0x0703, "migrate_device_range", MigrateDeviceRange;
    /// `hmm_range_fault`: a driver asked for the pages of a range.
    HmmRangeFault = 0x0704, "hmm_range_fault", HmmRangeFault;
    /// `mmu_interval_notifier_insert`: a driver wants to hear of changes of a range.
    MmuIntervalNotifierInsert = 0x0705, "mmu_interval_notifier_insert", MmuIntervalNotifierInsert;
    /// `mmu_interval_notifier_remove`, at its entry: it does not want to any more.
    MmuIntervalNotifierRemove = 0x0706, "mmu_interval_notifier_remove", MmuIntervalNotifierRemove;
    /// A page that a driver wanted to migrate and that did not, with the reason.
    MigrateVmaRefused = 0x0707, "migrate_vma_refused", MigrateVmaRefused;
}

impl Kind {
    /// The group that this kind is chosen, counted and lost with.
    pub const fn family(self) -> Family {
        Family::ALL[(self as u16 >> 8) as usize]
    }

    /// The kind's bit in its family's word of [`Options::kinds`](crate::globals::Options::kinds).
    pub const fn bit(self) -> u32 {
        1 << (self as u16 & 0x1f)
    }

    /// The kind of that [name](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// Size of a whole record in bytes.
    pub const fn record_size(self) -> usize {
        size_of::<Header>() + self.body_size()
    }
}

/// Size of the largest record in bytes.
pub const MAX_RECORD_SIZE: usize = {
    let mut largest = 0;
    let mut i = 0;
    while i < Kind::ALL.len() {
        if Kind::ALL[i].record_size() > largest {
            largest = Kind::ALL[i].record_size();
        }
        i += 1;
    }
    largest
};

const _: () = {
    assert!(size_of::<Header>() == 24);
    // The hot events, whose size is a promise of its own.
    assert!(Kind::TryToUnmap.record_size() == 56);
    assert!(Kind::MlockFolio.record_size() == 48);
    assert!(MAX_RECORD_SIZE == 152);
};
