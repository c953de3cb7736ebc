//! The table of every event's fields: names, types and places, as data.
//!
//! A field is found in the bytes of a record's body by its offset, so that reading one costs no dispatch by
//! kind. Its [`Type`] says how the number is to be understood; [`Decoder`](super::Decoder) does that.

use std::mem::offset_of;

use tracer_common::event::{
    CopyPageRange, DeviceName, DmaMapDirect, ExclusiveExit, ExclusiveFault, ExclusiveMove, ExclusivePage,
    ExclusiveZap, FolioMlock, FolioWalk, Kind, MakeDeviceExclusive, MigratePages, MigrateRefused,
    MigrateVmaSetup, MigrationEntry, MlockFixup, ProcessExec, ProcessExit, ProcessFork, ProcessRename,
    RemoveMigrationPte, RestoreExclusive, SwiotlbMap, SwiotlbMapSingle, SwiotlbPages, SwiotlbSlotKept,
    SwiotlbSync, SwiotlbUnmapSingle, VmaVisit,
};

use super::selection::place;

/// How the bytes of a field are to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A process or thread id.
    Id,
    /// A plain number of things.
    Count,
    /// The same where it was not always counted.
    OptionalCount,
    /// A number of bytes.
    Bytes,
    /// Time in nanoseconds; 0 when it was not measured.
    Duration,
    /// The name of a thread, NUL-terminated.
    Comm,
    /// The name of a device, NUL-terminated.
    DeviceName,
    /// Address of a `struct device`, shown by its name.
    Device,
    /// Address of a kernel object that is always there: 0 means that it could not be read.
    Object,
    /// Any other number that is written in hexadecimal.
    Hex,
    /// A bus or physical address, all ones where a mapping failed.
    Mapping,
    /// The original address in a slot, all ones in a free slot.
    SlotOriginal,
    /// Address of a `struct page`, shown as its pfn.
    Page,
    /// The same where 0 means that there is none.
    OptionalPage,
    /// Raw page flags.
    PageFlags,
    /// VM_* bits.
    VmFlags,
    /// TTU_* bits.
    TtuFlags,
    /// FAULT_FLAG_* bits.
    FaultFlags,
    /// VM_FAULT_* bits.
    FaultResult,
    /// DMA_ATTR_* bits.
    DmaAttributes,
    /// Properties of a bounce-buffer pool.
    PoolFlags,
    /// `enum dma_data_direction`.
    Direction,
    /// `enum migrate_mode`.
    MigrateMode,
    /// `enum migrate_reason`.
    MigrateReason,
    /// A signed count of mappings or references.
    References,
    /// 0 or more, or -errno.
    Result,
    /// Whether a walk goes on.
    WalkResult,
    /// The low bits of `page->mapping`.
    MappingBits,
    /// 0 or 1.
    Truth,
    /// A raw page-table entry.
    Entry,
    /// log2 of a number of pages.
    Order,
    /// The status in `task_struct.exit_code`.
    ExitStatus,
    /// The signal in `task_struct.exit_code`.
    ExitSignal,
}

impl Type {
    /// Characters that a column of this type needs in text for its usual values.
    pub const fn width(self) -> usize {
        match self {
            Self::Truth | Self::Order => 5,
            Self::Id
            | Self::Count
            | Self::OptionalCount
            | Self::References
            | Self::Result
            | Self::WalkResult => 8,
            Self::ExitStatus | Self::ExitSignal | Self::MappingBits | Self::Bytes | Self::Duration => 8,
            Self::Page | Self::OptionalPage => 10,
            Self::Comm => 15,
            Self::Device | Self::DeviceName | Self::MigrateMode | Self::MigrateReason => 18,
            Self::Object | Self::Hex | Self::Mapping | Self::SlotOriginal | Self::Direction => 18,
            Self::PageFlags | Self::TtuFlags | Self::FaultResult | Self::DmaAttributes | Self::PoolFlags => {
                32
            }
            Self::VmFlags | Self::FaultFlags | Self::Entry => 40,
        }
    }

    /// Whether the number is signed.
    const fn is_signed(self) -> bool {
        matches!(self, Self::References | Self::Result)
    }
}

/// One field of an event's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in every output.
    pub name: &'static str,
    /// How it is to be understood.
    pub ty: Type,
    /// Name of the undecoded number, where [`name`](Self::name) shows something made of it.
    pub raw: Option<&'static str>,
    offset: u16,
    size: u16,
}

impl Field {
    /// The bytes of the field in the bytes of its event's body; empty when `body` is of another event.
    pub fn bytes<'a>(&self, body: &'a [u8]) -> &'a [u8] {
        let start = usize::from(self.offset);
        body.get(start..start + usize::from(self.size)).unwrap_or_default()
    }

    /// The field as a number, sign-extended where its type is signed; 0 for a name.
    #[inline]
    pub fn number(&self, body: &[u8]) -> u64 {
        let bytes = self.bytes(body);
        if let Ok(bytes) = bytes.try_into() {
            return u64::from_le_bytes(bytes);
        }
        let Ok(bytes) = bytes.try_into() else { return 0 };
        let number = u32::from_le_bytes(bytes);
        if self.ty.is_signed() { i64::from(number.cast_signed()).cast_unsigned() } else { u64::from(number) }
    }

    /// Bytes before it in its body.
    pub(crate) const fn offset(&self) -> usize {
        self.offset as usize
    }

    /// Bytes of the number.
    pub const fn size(&self) -> usize {
        self.size as usize
    }
}

/// What every line can show beside the event's own fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeaderField {
    /// When.
    Time,
    /// CPU number.
    Cpu,
    /// Name of the thread.
    Comm,
    /// Process id.
    Pid,
    /// Thread id.
    Tid,
    /// Name of the event.
    Event,
    /// Id of the kernel stack.
    Stack,
    /// Family of events that are missing.
    LostFamily,
    /// How many are missing.
    LostCount,
}

impl HeaderField {
    /// Every one, in the order of a line.
    pub const ALL: [Self; 9] = [
        Self::Time,
        Self::Cpu,
        Self::Comm,
        Self::Pid,
        Self::Tid,
        Self::Event,
        Self::Stack,
        Self::LostFamily,
        Self::LostCount,
    ];

    /// The name in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Cpu => "cpu",
            Self::Comm => "comm",
            Self::Pid => "pid",
            Self::Tid => "tid",
            Self::Event => "event",
            Self::Stack => "stack",
            Self::LostFamily => "lost_family",
            Self::LostCount => "lost_count",
        }
    }
}

const fn size_of_field<T, F>(_: fn(&T) -> &F) -> u16 {
    size_of::<F>() as u16
}

macro_rules! raw_name {
    () => {
        None
    };
    ($raw:ident) => {
        Some(stringify!($raw))
    };
}

/// `name (name of the raw number) = member of the body: type`.
macro_rules! fields {
    ($($list:ident: $body:ident { $($name:ident $(($raw:ident))? = $member:ident: $ty:ident,)* })*) => {
        $(const $list: &[Field] = &[$(Field {
            name: stringify!($name),
            ty: Type::$ty,
            raw: raw_name!($($raw)?),
            offset: offset_of!($body, $member) as u16,
            size: size_of_field(|body: &$body| &body.$member),
        }),*];)*
    };
}

fields! {
    PROCESS_FORK: ProcessFork {
        child_pid = child_pid: Id,
        child_tid = child_tid: Id,
        child_comm = comm: Comm,
    }
    PROCESS_EXEC: ProcessExec {
        old_tid = old_tid: Id,
        new_comm = comm: Comm,
    }
    PROCESS_EXIT: ProcessExit {
        status (exit_code) = exit_code: ExitStatus,
        signal = exit_code: ExitSignal,
    }
    PROCESS_RENAME: ProcessRename {
        target_pid = target_pid: Id,
        target_tid = target_tid: Id,
        new_comm = comm: Comm,
    }
    MAKE_DEVICE_EXCLUSIVE: MakeDeviceExclusive {
        mm = mm: Object,
        start = start: Hex,
        end = end: Hex,
        owner = owner: Hex,
        result (result_raw) = result: Result,
        made = made: Count,
        unchecked = unchecked: Count,
        duration = duration: Duration,
    }
    EXCLUSIVE_PAGE: ExclusivePage {
        mm = mm: Object,
        address = address: Hex,
        pfn (page) = page: Page,
        flags (flags_raw) = flags: PageFlags,
        mapping (mapping_bits) = mapping_bits: MappingBits,
        mapcount = mapcount: References,
        refcount = refcount: References,
    }
    VMA_VISIT: VmaVisit {
        mm = mm: Object,
        address = address: Hex,
        pfn (page) = page: Page,
        flags (flags_raw) = flags: PageFlags,
        mapcount = mapcount: References,
        vm_flags (vm_flags_raw) = vm_flags: VmFlags,
        walk (walk_raw) = result: WalkResult,
        duration = duration: Duration,
    }
    VMA_VISIT_WITH_FLAGS: VmaVisit {
        mm = mm: Object,
        address = address: Hex,
        pfn (page) = page: Page,
        flags (flags_raw) = flags: PageFlags,
        mapcount = mapcount: References,
        ttu_flags (ttu_flags_raw) = ttu_flags: TtuFlags,
        vm_flags (vm_flags_raw) = vm_flags: VmFlags,
        walk (walk_raw) = result: WalkResult,
        entry_before (entry_before_raw) = entry_before: Entry,
        entry_after (entry_after_raw) = entry_after: Entry,
        duration = duration: Duration,
    }
    RESTORE_EXCLUSIVE: RestoreExclusive {
        mm = mm: Object,
        address = address: Hex,
        pfn (page) = page: Page,
        flags (flags_raw) = flags: PageFlags,
        mapcount = mapcount: References,
        vm_flags (vm_flags_raw) = vm_flags: VmFlags,
        old_entry (old_entry_raw) = old_entry: Entry,
        new_entry (new_entry_raw) = new_entry: Entry,
        in_fork = in_fork: Truth,
        mlocks = mlocks: OptionalCount,
        duration = duration: Duration,
    }
    EXCLUSIVE_FAULT: ExclusiveFault {
        mm = mm: Object,
        address = address: Hex,
        entry (entry_raw) = entry: Entry,
        fault_flags (fault_flags_raw) = fault_flags: FaultFlags,
        fault_result (fault_result_raw) = result: FaultResult,
        duration = duration: Duration,
    }
    EXCLUSIVE_ZAP: ExclusiveZap {
        mm = mm: Object,
        start = start: Hex,
        end = end: Hex,
    }
    EXCLUSIVE_MOVE: ExclusiveMove {
        mm = mm: Object,
        old_address = old_address: Hex,
        new_address = new_address: Hex,
        length = length: Bytes,
    }
    EXCLUSIVE_EXIT: ExclusiveExit {
        mm = mm: Object,
    }
    FOLIO_WALK: FolioWalk {
        pfn (page) = page: Page,
        flags (flags_raw) = flags: PageFlags,
        mapcount = mapcount: References,
        duration = duration: Duration,
    }
    FOLIO_WALK_WITH_FLAGS: FolioWalk {
        pfn (page) = page: Page,
        flags (flags_raw) = flags: PageFlags,
        mapcount = mapcount: References,
        ttu_flags (ttu_flags_raw) = ttu_flags: TtuFlags,
        duration = duration: Duration,
    }
    MIGRATION_ENTRY: MigrationEntry {
        address = address: Hex,
        pfn (page) = page: Page,
        flags (flags_raw) = flags: PageFlags,
        entry (entry_raw) = entry: Entry,
        order = order: Order,
    }
    REMOVE_MIGRATION_PTE: RemoveMigrationPte {
        mm = mm: Object,
        address = address: Hex,
        old_pfn (old_page) = old_page: Page,
        old_flags (old_flags_raw) = old_flags: PageFlags,
        new_pfn (new_page) = new_page: Page,
        new_flags (new_flags_raw) = new_flags: PageFlags,
        duration = duration: Duration,
    }
    MIGRATE_PAGES: MigratePages {
        succeeded = succeeded: Count,
        failed = failed: Count,
        mode (mode_raw) = mode: MigrateMode,
        reason (reason_raw) = reason: MigrateReason,
    }
    MIGRATE_VMA_SETUP: MigrateVmaSetup {
        mm = mm: Object,
        start = start: Hex,
        end = end: Hex,
        npages = npages: Count,
        collected = collected: Count,
        result (result_raw) = result: Result,
        unlocked = unlocked: OptionalCount,
        unlocked_pfn (unlocked_page) = unlocked_page: OptionalPage,
        duration = duration: Duration,
    }
    MIGRATE_REFUSED: MigrateRefused {
        pfn (page) = page: Page,
        flags (flags_raw) = flags: PageFlags,
        mapcount = mapcount: References,
        refcount = refcount: References,
        result (result_raw) = result: Result,
        mode (mode_raw) = mode: MigrateMode,
    }
    FOLIO_MLOCK: FolioMlock {
        pfn (page) = page: Page,
        flags (flags_raw) = flags: PageFlags,
        mapcount = mapcount: References,
    }
    MLOCK_FIXUP: MlockFixup {
        mm = mm: Object,
        start = start: Hex,
        end = end: Hex,
        old_vm_flags (old_vm_flags_raw) = old_vm_flags: VmFlags,
        new_vm_flags (new_vm_flags_raw) = new_vm_flags: VmFlags,
        result (result_raw) = result: Result,
        duration = duration: Duration,
    }
    COPY_PAGE_RANGE: CopyPageRange {
        source_mm = source_mm: Object,
        destination_mm = destination_mm: Object,
        source_vma = source_vma: Object,
        destination_vma = destination_vma: Object,
        start = start: Hex,
        end = end: Hex,
        vm_flags (vm_flags_raw) = vm_flags: VmFlags,
        result (result_raw) = result: Result,
        inner_result (inner_result_raw) = inner_result: Result,
        restored = restored: Count,
        exclusive_left = exclusive_left: OptionalCount,
        exclusive_copied = exclusive_copied: OptionalCount,
        compared = compared: OptionalCount,
        taken = taken: Count,
        unscanned = unscanned: Count,
        first_left = first_left: Hex,
        first_left_flags (first_left_flags_raw) = first_left_flags: PageFlags,
        first_copied = first_copied: Hex,
        first_taken = first_taken: Hex,
        duration = duration: Duration,
    }
    DEVICE_NAME: DeviceName {
        device_name = name: DeviceName,
        device (device_address) = device: Device,
    }
    SWIOTLB_MAP: SwiotlbMap {
        device (device_address) = device: Device,
        original = original: Hex,
        size = size: Bytes,
        dma_address = dma_address: Mapping,
        direction (direction_raw) = direction: Direction,
        attributes (attributes_raw) = attributes: DmaAttributes,
        duration = duration: Duration,
    }
    SWIOTLB_MAP_SINGLE: SwiotlbMapSingle {
        device (device_address) = device: Device,
        pool = pool: Object,
        pool_start = pool_start: Hex,
        pool_end = pool_end: Hex,
        pool_flags (pool_flags_raw) = pool_bits: PoolFlags,
        original = original: Hex,
        bounce = bounce: Mapping,
        size = size: Bytes,
        alloc_size = alloc_size: Bytes,
        direction (direction_raw) = direction: Direction,
        attributes (attributes_raw) = attributes: DmaAttributes,
        used_slots = used_slots: Count,
        align_mask = align_mask: Hex,
        duration = duration: Duration,
    }
    SWIOTLB_UNMAP_SINGLE: SwiotlbUnmapSingle {
        device (device_address) = device: Device,
        pool = pool: Object,
        bounce = bounce: Mapping,
        size = size: Bytes,
        slot_original = slot_original: SlotOriginal,
        slot_size = slot_size: Bytes,
        direction (direction_raw) = direction: Direction,
        attributes (attributes_raw) = attributes: DmaAttributes,
    }
    SWIOTLB_SYNC: SwiotlbSync {
        device (device_address) = device: Device,
        pool = pool: Object,
        bounce = bounce: Mapping,
        size = size: Bytes,
        direction (direction_raw) = direction: Direction,
    }
    SWIOTLB_PAGES: SwiotlbPages {
        device (device_address) = device: Device,
        pool = pool: Object,
        pfn (page) = page: OptionalPage,
        size = size: Bytes,
        done = result: Truth,
    }
    SWIOTLB_SLOT_KEPT: SwiotlbSlotKept {
        device (device_address) = device: Device,
        pool = pool: Object,
        bounce = bounce: Mapping,
        slot_original = slot_original: SlotOriginal,
        slot_size = slot_size: Bytes,
    }
    DMA_MAP_DIRECT: DmaMapDirect {
        device (device_address) = device: Device,
        pool = pool: Object,
        pool_flags (pool_flags_raw) = pool_bits: PoolFlags,
        original = original: Hex,
        dma_address = dma_address: Mapping,
        size = size: Bytes,
        direction (direction_raw) = direction: Direction,
    }
}

/// The fields of a kind, in the order in which they are shown.
pub const fn fields(kind: Kind) -> &'static [Field] {
    match kind {
        Kind::ProcessFork => PROCESS_FORK,
        Kind::ProcessExec => PROCESS_EXEC,
        Kind::ProcessExit => PROCESS_EXIT,
        Kind::ProcessRename => PROCESS_RENAME,
        Kind::MakeDeviceExclusive => MAKE_DEVICE_EXCLUSIVE,
        Kind::ExclusivePage => EXCLUSIVE_PAGE,
        Kind::ExclusiveVma | Kind::PageMlockOne => VMA_VISIT,
        Kind::RestoreExclusive => RESTORE_EXCLUSIVE,
        Kind::ExclusiveFault => EXCLUSIVE_FAULT,
        Kind::ExclusiveZap => EXCLUSIVE_ZAP,
        Kind::ExclusiveMove => EXCLUSIVE_MOVE,
        Kind::ExclusiveExit => EXCLUSIVE_EXIT,
        Kind::TryToUnmap | Kind::TryToMigrate => FOLIO_WALK_WITH_FLAGS,
        Kind::TryToUnmapOne | Kind::TryToMigrateOne => VMA_VISIT_WITH_FLAGS,
        Kind::MigrationEntrySet | Kind::MigrationEntryRemoved => MIGRATION_ENTRY,
        Kind::RemoveMigrationPte => REMOVE_MIGRATION_PTE,
        Kind::MigratePages => MIGRATE_PAGES,
        Kind::MigrateVmaSetup => MIGRATE_VMA_SETUP,
        Kind::MigrateRefused => MIGRATE_REFUSED,
        Kind::PageMlock => FOLIO_WALK,
        Kind::MlockFolio | Kind::MunlockFolio => FOLIO_MLOCK,
        Kind::MlockFixup => MLOCK_FIXUP,
        Kind::CopyPageRange => COPY_PAGE_RANGE,
        Kind::DeviceName => DEVICE_NAME,
        Kind::SwiotlbMap => SWIOTLB_MAP,
        Kind::SwiotlbMapSingle => SWIOTLB_MAP_SINGLE,
        Kind::SwiotlbUnmapSingle => SWIOTLB_UNMAP_SINGLE,
        Kind::SwiotlbSyncForCpu | Kind::SwiotlbSyncForDevice => SWIOTLB_SYNC,
        Kind::SwiotlbAlloc | Kind::SwiotlbFree => SWIOTLB_PAGES,
        Kind::SwiotlbSlotKept => SWIOTLB_SLOT_KEPT,
        Kind::DmaMapDirect => DMA_MAP_DIRECT,
    }
}

/// [`duration_field`] by place in [`Kind::ALL`].
const DURATIONS: [Option<&'static Field>; Kind::ALL.len()] = {
    let mut durations = [None; Kind::ALL.len()];
    let mut place = 0;
    while place < durations.len() {
        let fields = fields(Kind::ALL[place]);
        let mut index = 0;
        while index < fields.len() {
            if matches!(fields[index].ty, Type::Duration) {
                durations[place] = Some(&fields[index]);
            }
            index += 1;
        }
        place += 1;
    }
    durations
};

/// The field that tells how long a call of that kind took, where it is measured at all.
#[inline]
pub fn duration_field(kind: Kind) -> Option<&'static Field> {
    DURATIONS[place(kind)]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_in_an_event_and_never_those_of_the_line() {
        let line: HashSet<_> = HeaderField::ALL.map(HeaderField::name).into_iter().chain(["type"]).collect();
        for &kind in Kind::ALL {
            let mut seen = HashSet::new();
            for field in fields(kind) {
                for name in [Some(field.name), field.raw].into_iter().flatten() {
                    assert!(seen.insert(name), "{name} twice in {}", kind.name());
                    assert!(!line.contains(name), "{name} of {}", kind.name());
                }
            }
        }
    }

    #[test]
    fn a_name_has_one_type_in_all_events() {
        let mut types = std::collections::HashMap::new();
        for &kind in Kind::ALL {
            for field in fields(kind) {
                let ty = *types.entry(field.name).or_insert(field.ty);
                let same = ty == field.ty || field.name == "pfn";
                assert!(same, "{} of {}", field.name, kind.name());
            }
        }
    }

    #[test]
    fn fields_lie_in_their_bodies_and_cover_them() {
        for &kind in Kind::ALL {
            let mut covered = vec![false; kind.body_size()];
            for field in fields(kind) {
                let place = usize::from(field.offset)..usize::from(field.offset) + field.size();
                covered[place].fill(true);
                assert!(matches!(field.size(), 4 | 8) || matches!(field.ty, Type::Comm | Type::DeviceName));
            }
            // What is not shown: `reserved`, and the TTU flags and entries of walks that have none.
            assert!(covered.iter().filter(|covered| !**covered).count() <= 24, "{}", kind.name());
        }
    }

    #[test]
    fn signed_numbers_keep_their_sign() {
        let mut body = [0; 152];
        let field = fields(Kind::CopyPageRange).iter().find(|field| field.name == "result").unwrap();
        body[usize::from(field.offset)..][..4].copy_from_slice(&(-12_i32).to_le_bytes());
        assert_eq!(field.number(&body).cast_signed(), -12);
        assert_eq!(field.number(&[]), 0);
    }
}
