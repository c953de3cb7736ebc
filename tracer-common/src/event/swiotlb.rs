//! Bounce buffers.

use super::DEVICE_NAME_LEN;
use super::field::bodies;

bodies! {
    /// Body of `Kind::DeviceName`.
    DeviceName in the order [device_name, device] {
        /// The device.
        device: u64 as device (device_address): Device,
        /// Name of the device.
        name: [u8; DEVICE_NAME_LEN] as device_name: DeviceName,
    }

    /// Body of `Kind::SwiotlbMap`.
    SwiotlbMap in the order [device, original, size, dma_address, direction, attributes, duration] {
        /// The device.
        device: u64 as device (device_address): Device,
        /// Physical address of the original buffer.
        original: u64 as Hex is Original,
        /// Bytes.
        size: u64 as Bytes is Bytes,
        /// Bus address of the bounce buffer, or `error`.
        dma_address: u64 as Mapping,
        /// DMA_ATTR_*.
        attributes: u64 as attributes (attributes_raw): DmaAttributes,
        /// `enum dma_data_direction`.
        direction: u32 as direction (direction_raw): Direction,
        /// Always 0.
        reserved: u32,
        /// Time in the function.
        duration: u64 as Duration,
    }

    /// Body of `Kind::SwiotlbMapSingle`.
    SwiotlbMapSingle in the order [
        device, pool, pool_start, pool_end, pool_flags, original, bounce, size, alloc_size, direction,
        attributes, used_slots, align_mask, duration
    ] {
        /// The device.
        device: u64 as device (device_address): Device,
        /// Its pool.
        pool: u64 as Object,
        /// First physical address of the default pool of the device.
        pool_start: u64 as Hex,
        /// Address after its last.
        pool_end: u64 as Hex,
        /// Physical address of the original buffer.
        original: u64 as Hex is Original,
        /// Physical address of the bounce buffer; `error` when no slots were free, the size is over 256 KiB, or the
        /// alignment cannot be met.
        bounce: u64 as Mapping is Bounce,
        /// Bytes to bounce.
        size: u64 as Bytes is Bytes,
        /// Bytes to take slots for; `?` since 6.10, where the kernel derives them.
        alloc_size: u64 as Bytes,
        /// DMA_ATTR_*; `?` in 5.15 and 6.1, where the argument is out of reach.
        attributes: u64 as attributes (attributes_raw): DmaAttributes,
        /// `enum dma_data_direction`. The original is copied at map in every direction.
        direction: u32 as direction (direction_raw): Direction,
        /// `force_bounce`: every mapping of the device bounces; `for_alloc`: coherent memory comes from the pool,
        /// too (restricted pool).
        ///
        /// `dma_io_tlb_mem->force_bounce` (1), `for_alloc` (2).
        pool_bits: u32 as pool_flags (pool_flags_raw): PoolFlags,
        /// After a failure, slots of the (default) pool that are in use, read without its locks; otherwise `?`.
        used_slots: u64 as Count,
        /// Alignment asked for, as a mask of low bits.
        align_mask: u32 as Hex,
        /// Always 0.
        reserved: u32,
        /// Time in the function.
        duration: u64 as Duration,
    }

    /// Body of `Kind::SwiotlbUnmapSingle`, taken at function entry, before the slots are released.
    SwiotlbUnmapSingle in the order [device, pool, bounce, size, slot_original, slot_size, direction, attributes] {
        /// The device.
        device: u64 as device (device_address): Device,
        /// Its pool.
        pool: u64 as Object,
        /// Physical address of the bounce buffer.
        bounce: u64 as Mapping is Bounce,
        /// Bytes, as the driver gives them.
        size: u64 as Bytes is Bytes,
        /// Original address in the slot; `free` when the slot is not in use: it was unmapped before.
        slot_original: u64 as SlotOriginal,
        /// Size in the slot.
        slot_size: u64 as Bytes,
        /// DMA_ATTR_*. The DMA API adds DMA_ATTR_SKIP_CPU_SYNC itself after it has copied: that is not the
        /// driver's.
        attributes: u64 as attributes (attributes_raw): DmaAttributes,
        /// `enum dma_data_direction`.
        direction: u32 as direction (direction_raw): Direction,
        /// Always 0.
        reserved: u32,
    }

    /// Body of `Kind::SwiotlbSyncForCpu` and `Kind::SwiotlbSyncForDevice`, taken at function entry.
    SwiotlbSync {
        /// The device.
        device: u64 as device (device_address): Device,
        /// Its pool.
        pool: u64 as Object,
        /// Physical address inside the bounce buffer: any part of a mapping may be synced.
        bounce: u64 as Mapping is Bounce,
        /// Bytes.
        size: u64 as Bytes is Bytes,
        /// `enum dma_data_direction`; not every direction copies.
        direction: u32 as direction (direction_raw): Direction,
        /// Always 0.
        reserved: u32,
    }

    /// Body of `Kind::SwiotlbAlloc` and `Kind::SwiotlbFree`.
    SwiotlbPages in the order [device, pool, pool_start, pool_end, pfn, size, done, used_slots] {
        /// The device.
        device: u64 as device (device_address): Device,
        /// Its pool.
        pool: u64 as Object,
        /// First physical address of the pool.
        pool_start: u64 as Hex,
        /// Address after its last.
        pool_end: u64 as Hex,
        /// First page; `none` when the allocation failed.
        page: u64 as pfn (page): OptionalPage is Page,
        /// Bytes.
        size: u64 as Bytes is Bytes,
        /// After an allocation that failed, slots of the pool that are in use, read without its locks; otherwise `?`.
        used_slots: u64 as Count,
        /// Alloc: it succeeded; free: the pages were the pool's.
        result: u32 as done: Truth,
        /// Always 0.
        reserved: u32,
    }

    /// Body of `Kind::SwiotlbSlotKept`.
    SwiotlbSlotKept {
        /// The device.
        device: u64 as device (device_address): Device,
        /// Its pool.
        pool: u64 as Object,
        /// Physical address that was unmapped.
        bounce: u64 as Mapping is Bounce,
        /// Original address in the slot.
        slot_original: u64 as SlotOriginal,
        /// Size in the slot.
        slot_size: u64 as Bytes,
    }

    /// Body of `Kind::DmaMapDirect`.
    DmaMapDirect in the order [device, pool, pool_flags, original, dma_address, size, direction] {
        /// The device.
        device: u64 as device (device_address): Device,
        /// Its pool.
        pool: u64 as Object,
        /// Physical address of the buffer.
        original: u64 as Hex is Original,
        /// Address that the device got.
        dma_address: u64 as Mapping,
        /// Bytes.
        size: u64 as Bytes is Bytes,
        /// `enum dma_data_direction`.
        direction: u32 as direction (direction_raw): Direction,
        /// As in `swiotlb_map_single`.
        pool_bits: u32 as pool_flags (pool_flags_raw): PoolFlags,
    }
}
