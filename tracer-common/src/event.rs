//! The one definition of every event.
//!
//! A record is a [`Header`] followed by the body of its [`Kind`], all little-endian, 8-byte aligned,
//! without padding that is not named. The ring carries exactly these bytes and so does the trace file.
//!
//! Addresses of kernel objects (`page`, `mm`, `device`) identify the object while it lives. A folio and
//! its head page have the same address; user space turns it into a pfn with the base of the memory map.
//! Flag words are the kernel's raw words: the trace file's header has the tables that name their bits.

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

    /// The bytes of the header, as they are in the ring and in the file.
    pub fn bytes(&self) -> &[u8] {
        plain_bytes(self)
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $number:literal, $name:literal, $body:ty;)*) => {
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

            /// The kind of the record.
            #[inline]
            pub const fn kind(&self) -> Kind {
                match self { $(Self::$kind(_) => Kind::$kind,)* }
            }

            /// The bytes of the body, as they are in the ring and in the file.
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
    ExclusiveVma = 0x0103, "exclusive_vma", VmaVisit;
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
    PageMlock = 0x0401, "page_mlock", FolioWalk;
    /// `page_mlock_one`: one VMA visited by that walk.
    PageMlockOne = 0x0402, "page_mlock_one", VmaVisit;
    /// `mlock_folio` (5.18 on) or `mlock_vma_page` (to 5.17).
    MlockFolio = 0x0403, "mlock_folio", FolioMlock;
    /// `munlock_folio`, `munlock_page` (5.18 to 6.2) or `munlock_vma_page` (to 5.17).
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

/// A member of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// Bytes before it in the body.
    pub offset: usize,
    /// Its bytes.
    pub size: usize,
}

macro_rules! bodies {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        $($(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(C)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }
        impl Plain for $name {}
        impl $name {
            const MEMBERS: &'static [Member] = &[$(Member {
                name: stringify!($field),
                offset: core::mem::offset_of!($name, $field),
                size: size_of::<$type>(),
            }),*];
        })*
    };
}

bodies! {
    /// Body of [`Kind::ProcessFork`]. The header's task is the parent.
    ProcessFork {
        /// Process id of the child; the parent's own for a new thread.
        child_pid: u32,
        /// Thread id of the child.
        child_tid: u32,
        /// Name that the child starts with.
        comm: [u8; COMM_LEN],
    }
    /// Body of [`Kind::ProcessExec`].
    ProcessExec {
        /// Thread id before the exec (a thread that execs takes the leader's id).
        old_tid: u32,
        /// Always 0.
        reserved: u32,
        /// Name after the exec.
        comm: [u8; COMM_LEN],
    }
    /// Body of [`Kind::ProcessExit`].
    ProcessExit {
        /// `task_struct.exit_code`: status << 8 | signal, as `wait(2)` gives it.
        exit_code: u32,
        /// Always 0.
        reserved: u32,
    }
    /// Body of [`Kind::ProcessRename`]. The header's task may be another one than the renamed.
    ProcessRename {
        /// Process id of the renamed thread.
        target_pid: u32,
        /// Thread id of the renamed thread.
        target_tid: u32,
        /// The new name.
        comm: [u8; COMM_LEN],
    }

    /// Body of [`Kind::MakeDeviceExclusive`].
    MakeDeviceExclusive {
        /// `mm_struct` whose pages are asked for.
        mm: u64,
        /// First address.
        start: u64,
        /// Address after the last.
        end: u64,
        /// The driver's cookie for its notifier; 0 when it gave none.
        owner: u64,
        /// The function's result: pages found by GUP (range form), 0 (single form), or -errno.
        result: i64,
        /// Pages made exclusive and handed out; one [`ExclusivePage`] each.
        made: u32,
        /// Pages of the range that this record's program did not look at (over its loop limit).
        unchecked: u32,
        /// Time in the function in nanoseconds; 0 when latency was not asked for.
        duration: u64,
    }
    /// Body of [`Kind::ExclusivePage`], as the page is when the call returns.
    ExclusivePage {
        /// `mm_struct` that maps the page.
        mm: u64,
        /// User address of the page.
        address: u64,
        /// `struct page` of the page.
        page: u64,
        /// Raw page flags (of the head page where it is a large folio).
        flags: u64,
        /// Low bits of `page->mapping` (of the head page): 1 anonymous, 3 KSM, 0 file; or [`BITS_UNKNOWN`].
        mapping_bits: u32,
        /// Mappings: 0 in 5.14 to 6.14, untouched since 6.15.
        mapcount: i32,
        /// References.
        refcount: i32,
        /// Always 0.
        reserved: u32,
    }
    /// Body of the events that one VMA visit of an rmap walk makes (`*_one`). A visit does not say
    /// that an entry was changed: the callback also returns true when nothing is mapped there.
    VmaVisit {
        /// `struct page` of the folio's head.
        page: u64,
        /// Raw page flags at return.
        flags: u64,
        /// `vma->vm_mm`.
        mm: u64,
        /// First user address of the folio in the VMA.
        address: u64,
        /// `vma->vm_flags`.
        vm_flags: u64,
        /// Raw callback argument: TTU flags for unmap and migrate, otherwise 0.
        ttu_flags: u32,
        /// 1: go on with the next VMA; 0: stop the walk.
        result: u32,
        /// Mappings of the folio after the visit, or [`MAPCOUNT_UNKNOWN`].
        mapcount: i32,
        /// Always 0.
        reserved: u32,
        /// `try_to_unmap_one` in a VM_LOCKED VMA that the caller does not ignore: the raw page-table entry at
        /// `address` before the visit. [`UNKNOWN`] in all other visits, and where it cannot be read.
        entry_before: u64,
        /// The same after the visit.
        entry_after: u64,
        /// Time in the function in nanoseconds; 0 when latency was not asked for.
        duration: u64,
    }
    /// Body of [`Kind::RestoreExclusive`].
    RestoreExclusive {
        /// `vma->vm_mm`.
        mm: u64,
        /// User address of the entry.
        address: u64,
        /// `struct page` of the page.
        page: u64,
        /// Raw page flags at return.
        flags: u64,
        /// `vma->vm_flags` at return.
        vm_flags: u64,
        /// Raw page-table entry at function entry (the exclusive one), or [`UNKNOWN`].
        old_entry: u64,
        /// Raw page-table entry at return (the present one), or [`UNKNOWN`].
        new_entry: u64,
        /// Mappings at return, or [`MAPCOUNT_UNKNOWN`].
        mapcount: i32,
        /// 1 when the task was inside `copy_page_range`.
        in_fork: u32,
        /// Calls of `mlock_folio` inside (`mlock_vma_page` to 5.17), or [`UNCOUNTED`] where those are not watched.
        mlocks: u32,
        /// Always 0.
        reserved: u32,
        /// Time in the function in nanoseconds.
        duration: u64,
    }
    /// Body of [`Kind::ExclusiveFault`].
    ExclusiveFault {
        /// `vma->vm_mm`.
        mm: u64,
        /// Faulting user address, page aligned.
        address: u64,
        /// Raw exclusive entry (`vmf->orig_pte`).
        entry: u64,
        /// `vmf->flags` (FAULT_FLAG_*).
        fault_flags: u32,
        /// VM_FAULT_* result.
        result: u32,
        /// Time in the function in nanoseconds; 0 when latency was not asked for.
        duration: u64,
    }
    /// Body of [`Kind::ExclusiveZap`], taken at function entry.
    ExclusiveZap {
        /// `vma->vm_mm`.
        mm: u64,
        /// First address.
        start: u64,
        /// Address after the last.
        end: u64,
    }
    /// Body of [`Kind::ExclusiveMove`].
    ExclusiveMove {
        /// `vma->vm_mm`.
        mm: u64,
        /// First address that was moved.
        old_address: u64,
        /// Where it went.
        new_address: u64,
        /// Bytes that were moved: less than asked for when a page table could not be allocated.
        length: u64,
    }
    /// Body of [`Kind::ExclusiveExit`], taken at function return: no page table is left.
    ExclusiveExit {
        /// The `mm_struct`; another address space may have its place soon.
        mm: u64,
    }

    /// Body of the events of a walk over all mappings of one folio.
    FolioWalk {
        /// `struct page` of the folio's head.
        page: u64,
        /// Raw page flags at return.
        flags: u64,
        /// Mappings at return, or [`MAPCOUNT_UNKNOWN`]. 0 is the walk's success.
        mapcount: i32,
        /// TTU_* flags of the caller; 0 for `page_mlock`.
        ttu_flags: u32,
        /// Time in the function in nanoseconds; 0 when latency was not asked for.
        duration: u64,
    }

    /// Body of [`Kind::MigrationEntrySet`] and [`Kind::MigrationEntryRemoved`].
    MigrationEntry {
        /// User address of the entry.
        address: u64,
        /// Raw page-table entry: the migration entry when set, the new entry when removed.
        entry: u64,
        /// `struct page` that the entry points to, or [`UNKNOWN`].
        page: u64,
        /// Raw flags of its head page, or [`UNKNOWN`].
        flags: u64,
        /// log2 of the pages that the entry covers.
        order: u32,
        /// Always 0.
        reserved: u32,
    }
    /// Body of [`Kind::RemoveMigrationPte`]: one VMA visited; there may have been no entry in it.
    RemoveMigrationPte {
        /// `vma->vm_mm`.
        mm: u64,
        /// First user address of the folio in the VMA.
        address: u64,
        /// `struct page` that the entries point to (source of the migration).
        old_page: u64,
        /// Raw flags of its head at function entry.
        old_flags: u64,
        /// `struct page` that is mapped instead (the destination, or the source after a failure).
        new_page: u64,
        /// Raw flags of its head.
        new_flags: u64,
        /// Time in the function in nanoseconds; 0 when latency was not asked for.
        duration: u64,
    }
    /// Body of [`Kind::MigratePages`].
    MigratePages {
        /// Pages migrated.
        succeeded: u64,
        /// Pages that could not be.
        failed: u64,
        /// `enum migrate_mode`.
        mode: u32,
        /// `enum migrate_reason`.
        reason: u32,
    }
    /// Body of [`Kind::MigrateVmaSetup`].
    MigrateVmaSetup {
        /// `vma->vm_mm`.
        mm: u64,
        /// First address.
        start: u64,
        /// Address after the last.
        end: u64,
        /// Pages of the range.
        npages: u64,
        /// Pages collected: each got a migration entry if it was mapped.
        collected: u64,
        /// 0 or -errno.
        result: i32,
        /// Pages collected and not locked at return, or [`UNCOUNTED`] where they were not looked at.
        unlocked: u32,
        /// `struct page` of the first such page; 0 for none.
        unlocked_page: u64,
        /// Time in the function in nanoseconds; 0 when latency was not asked for.
        duration: u64,
    }
    /// Body of [`Kind::MigrateRefused`]: the source page as the function returned.
    MigrateRefused {
        /// `struct page` of the source folio's head.
        page: u64,
        /// Raw page flags.
        flags: u64,
        /// Mappings, or [`MAPCOUNT_UNKNOWN`]; migration entries are none.
        mapcount: i32,
        /// References: more than the kernel can explain make it refuse with -EAGAIN.
        refcount: i32,
        /// -errno.
        result: i32,
        /// `enum migrate_mode`.
        mode: u32,
    }

    /// Body of [`Kind::MlockFolio`] and [`Kind::MunlockFolio`], taken at function entry.
    FolioMlock {
        /// `struct page` of the folio's head.
        page: u64,
        /// Raw page flags at entry: PG_mlocked tells whether it was mlocked already.
        flags: u64,
        /// Mappings at entry, or [`MAPCOUNT_UNKNOWN`].
        mapcount: i32,
        /// Always 0.
        reserved: u32,
    }
    /// Body of [`Kind::MlockFixup`].
    MlockFixup {
        /// `vma->vm_mm`.
        mm: u64,
        /// First address.
        start: u64,
        /// Address after the last.
        end: u64,
        /// `vma->vm_flags` at function entry.
        old_vm_flags: u64,
        /// Flags asked for.
        new_vm_flags: u64,
        /// 0 or -errno.
        result: i32,
        /// Always 0.
        reserved: u32,
        /// Time in the function in nanoseconds.
        duration: u64,
    }

    /// Body of [`Kind::CopyPageRange`].
    CopyPageRange {
        /// Parent's `mm_struct`.
        source_mm: u64,
        /// Child's `mm_struct`.
        destination_mm: u64,
        /// Parent's `vm_area_struct`.
        source_vma: u64,
        /// Child's `vm_area_struct`.
        destination_vma: u64,
        /// `src_vma->vm_start`.
        start: u64,
        /// `src_vma->vm_end`.
        end: u64,
        /// `src_vma->vm_flags`.
        vm_flags: u64,
        /// 0 or -errno, as fork sees it: any failure of an inner level is -ENOMEM here.
        result: i32,
        /// The last result of `copy_pte_range` where that is a function of its own (-EBUSY: an exclusive
        /// page was locked), otherwise [`RESULT_UNKNOWN`].
        inner_result: i32,
        /// Exclusive entries restored in the parent inside this call.
        restored: u32,
        /// Exclusive entries that the parent's page table still has in the range at return, or [`UNCOUNTED`]:
        /// the tables are read only of address spaces in which pages were made exclusive.
        exclusive_left: u32,
        /// Exclusive entries in the child's page table, or [`UNCOUNTED`].
        exclusive_copied: u32,
        /// Restored pages that the parent's and the child's entry were compared for, or [`UNCOUNTED`].
        compared: u32,
        /// Of these, pages that the child maps and the parent does not any more: it has another page or nothing.
        taken: u32,
        /// Page tables and restored pages that were not looked at (over the program's limits).
        unscanned: u32,
        /// First address whose exclusive entry the parent still has; 0 for none.
        first_left: u64,
        /// Raw flags of that entry's page at return, or [`UNKNOWN`].
        first_left_flags: u64,
        /// First address at which the child has an exclusive entry; 0 for none.
        first_copied: u64,
        /// First address at which the child has taken the parent's page; 0 for none.
        first_taken: u64,
        /// Time in the function in nanoseconds.
        duration: u64,
    }

    /// Body of [`Kind::DeviceName`].
    DeviceName {
        /// `struct device`.
        device: u64,
        /// `dev_name()`, NUL-terminated.
        name: [u8; DEVICE_NAME_LEN],
    }
    /// Body of [`Kind::SwiotlbMap`].
    SwiotlbMap {
        /// `struct device`.
        device: u64,
        /// Physical address of the original buffer.
        original: u64,
        /// Bytes asked for.
        size: u64,
        /// DMA address of the bounce buffer, or [`MAPPING_ERROR`].
        dma_address: u64,
        /// DMA_ATTR_* bits.
        attributes: u64,
        /// `enum dma_data_direction`.
        direction: u32,
        /// Always 0.
        reserved: u32,
        /// Time in the function in nanoseconds; 0 when latency was not asked for.
        duration: u64,
    }
    /// Body of [`Kind::SwiotlbMapSingle`].
    SwiotlbMapSingle {
        /// `struct device`.
        device: u64,
        /// `dev->dma_io_tlb_mem`.
        pool: u64,
        /// First physical address of the device's (default) pool, or [`UNKNOWN`].
        pool_start: u64,
        /// Physical address after the pool's last, or [`UNKNOWN`].
        pool_end: u64,
        /// Physical address of the original buffer.
        original: u64,
        /// Physical address of the bounce buffer, or [`MAPPING_ERROR`].
        bounce: u64,
        /// Bytes to bounce.
        size: u64,
        /// Bytes to take slots for (5.15 and 6.1), or [`UNKNOWN`] where the kernel derives them.
        alloc_size: u64,
        /// DMA_ATTR_* bits, or [`UNKNOWN`] where the argument is out of reach (5.15 and 6.1: on the stack).
        attributes: u64,
        /// `enum dma_data_direction`.
        direction: u32,
        /// `dma_io_tlb_mem->force_bounce` (1), `for_alloc` (2).
        pool_bits: u32,
        /// After a failure, slots of the pool that are in use; otherwise, and where unreadable, [`UNKNOWN`].
        used_slots: u64,
        /// Alignment asked for, as a mask of low bits (`alloc_align_mask`).
        align_mask: u32,
        /// Always 0.
        reserved: u32,
        /// Time in the function in nanoseconds; 0 when latency was not asked for.
        duration: u64,
    }
    /// Body of [`Kind::SwiotlbUnmapSingle`], taken at function entry, before the slots are released.
    SwiotlbUnmapSingle {
        /// `struct device`.
        device: u64,
        /// `dev->dma_io_tlb_mem`.
        pool: u64,
        /// Physical address of the bounce buffer.
        bounce: u64,
        /// Bytes, as the driver gives them back.
        size: u64,
        /// The slot's original address: all ones when the slot is free; [`UNKNOWN`] where unreadable.
        slot_original: u64,
        /// The slot's size, or [`UNKNOWN`].
        slot_size: u64,
        /// DMA_ATTR_* bits.
        attributes: u64,
        /// `enum dma_data_direction`.
        direction: u32,
        /// Always 0.
        reserved: u32,
    }
    /// Body of [`Kind::SwiotlbSyncForCpu`] and [`Kind::SwiotlbSyncForDevice`], taken at function entry.
    SwiotlbSync {
        /// `struct device`.
        device: u64,
        /// `dev->dma_io_tlb_mem`.
        pool: u64,
        /// Physical address inside the bounce buffer; any part of a mapping may be synced.
        bounce: u64,
        /// Bytes.
        size: u64,
        /// `enum dma_data_direction`.
        direction: u32,
        /// Always 0.
        reserved: u32,
    }
    /// Body of [`Kind::SwiotlbAlloc`] and [`Kind::SwiotlbFree`].
    SwiotlbPages {
        /// `struct device`.
        device: u64,
        /// `dev->dma_io_tlb_mem`.
        pool: u64,
        /// First `struct page`, 0 when the allocation failed.
        page: u64,
        /// Bytes.
        size: u64,
        /// Alloc: 1 when it succeeded. Free: 1 when the pages were the pool's.
        result: u32,
        /// Always 0.
        reserved: u32,
    }
    /// Body of [`Kind::SwiotlbSlotKept`].
    SwiotlbSlotKept {
        /// `struct device`.
        device: u64,
        /// `dev->dma_io_tlb_mem`.
        pool: u64,
        /// Physical address of the bounce buffer that was unmapped.
        bounce: u64,
        /// The slot's original address after the unmap.
        slot_original: u64,
        /// The slot's size after the unmap.
        slot_size: u64,
    }
    /// Body of [`Kind::DmaMapDirect`].
    DmaMapDirect {
        /// `struct device`.
        device: u64,
        /// `dev->dma_io_tlb_mem`.
        pool: u64,
        /// Physical address of the buffer.
        original: u64,
        /// DMA address that the device got.
        dma_address: u64,
        /// Bytes.
        size: u64,
        /// `enum dma_data_direction`.
        direction: u32,
        /// As in [`SwiotlbMapSingle`].
        pool_bits: u32,
    }
}

const _: () = {
    assert!(size_of::<Header>() == 24);
    // The hot events, whose size is a promise of its own.
    assert!(Kind::TryToUnmap.record_size() == 56);
    assert!(Kind::MlockFolio.record_size() == 48);
    assert!(MAX_RECORD_SIZE == 152);
};
