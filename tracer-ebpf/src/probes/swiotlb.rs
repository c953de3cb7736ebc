//! Bounce buffers: slots taken from and given back to a pool, copies between.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use aya_ebpf::macros::map;
use aya_ebpf::maps::LruHashMap;
use tracer_common::event::{
    BITS_UNKNOWN, DEVICE_NAME_LEN, DeviceName, Kind, MAPPING_ERROR, SwiotlbMap, SwiotlbMapSingle,
    SwiotlbPages, SwiotlbSlotKept, SwiotlbSync, SwiotlbUnmapSingle, UNKNOWN,
};
use tracer_common::globals::OFFSET_ABSENT;
use tracer_common::point::{Argument, Point};

use crate::call::{Call, field};
use crate::context::Context;
use crate::globals::{global, is_behind};
use crate::memory::{Memory, Probed};
use crate::pairing::EntryState;

/// log2 of the bytes of a slot (include/linux/swiotlb.h, `IO_TLB_SHIFT`).
const SLOT_SHIFT: u64 = 11;

/// Devices whose name was sent.
#[map]
static DEVICES: LruHashMap<u64, u64> = LruHashMap::with_max_entries(1024, 0);

/// Sends a device's name before its first event.
#[inline(always)]
pub fn introduce<C: Context>(call: &mut Call<'_, C>, device: u64) {
    if global!(options.read_kernel) == 0 || DEVICES.get_ptr(device).is_some() {
        return;
    }
    // dev_name(), include/linux/device.h: the initial name while there is one, else the kobject's.
    let name = match C::Memory::load::<u64>(device, global!(layout.device_init_name)) {
        Some(name) if name != 0 => Some(name),
        _ => C::Memory::load::<u64>(device, global!(layout.device_name)),
    };
    let Some(name) = name else { return };
    let Some(room) = call.reserve(Kind::DeviceName) else { return };
    let mut body = DeviceName { device, name: [0; DEVICE_NAME_LEN] };
    // SAFETY: the helper checks the source, and stops at the NUL or at the destination's end.
    unsafe {
        bpf_probe_read_kernel_str(body.name.as_mut_ptr().cast(), DEVICE_NAME_LEN as u32, name as *const _)
    };
    room.send(body);
    let _ = DEVICES.insert(device, 1, 0);
}

/// `swiotlb_map` at return.
#[inline(always)]
pub fn mapped<C: Context>(call: &mut Call<'_, C>) {
    let device = call.argument(Argument::Dev);
    introduce(call, device);
    let (original, size) = (call.argument(Argument::Paddr), call.argument(Argument::Size));
    let (direction, attributes) = (call.argument(Argument::Dir), call.argument(Argument::Attrs));
    let (dma_address, duration) = (call.result(), call.duration);
    let Some(room) = call.reserve(Kind::SwiotlbMap) else { return };
    room.send(SwiotlbMap {
        device,
        original,
        size,
        dma_address,
        attributes,
        direction: direction as u32,
        reserved: 0,
        duration,
    });
}

/// The pool that a device bounces through; `None` where this kernel does not tell.
#[inline(always)]
pub fn pool_of<C: Context>(device: u64) -> Option<u64> {
    C::Memory::load(device, global!(layout.device_io_tlb_mem))
}

/// The same for an event.
#[inline(always)]
fn pool_or_unknown<C: Context>(device: u64) -> u64 {
    pool_of::<C>(device).unwrap_or(UNKNOWN)
}

/// What the pool does: every mapping bounces (1), coherent memory comes from it (2).
#[inline(always)]
pub fn pool_bits<C: Context>(pool: Option<u64>) -> u32 {
    let Some(pool) = pool else { return BITS_UNKNOWN };
    let Some(force) = C::Memory::load::<u8>(pool, global!(layout.pool_force_bounce)) else {
        return BITS_UNKNOWN;
    };
    let Some(for_alloc) = C::Memory::load::<u8>(pool, global!(layout.pool_for_alloc)) else {
        return BITS_UNKNOWN;
    };
    u32::from(force & 1) | u32::from(for_alloc & 1) << 1
}

/// A word of the pool, or [`UNKNOWN`].
#[inline(always)]
fn pool_word<C: Context>(pool: Option<u64>, offset: u32) -> u64 {
    match pool {
        Some(pool) => field::<C, u64>(pool, offset),
        None => UNKNOWN,
    }
}

/// Most areas whose counters are added up: the kernel makes one for each CPU. More, and the verifier gives up.
const MOST_AREAS: u32 = 32;

/// Slots in use of the device's (default) pool, or [`UNKNOWN`]. Read without the areas' locks.
#[inline(always)]
fn used_slots(device: u64) -> u64 {
    let pool = Probed::load::<u64>(device, global!(layout.device_io_tlb_mem)).unwrap_or(0);
    // Numbers, 0 for none: of two options the compiler would keep what an empty one does not hold in a register, and
    // the verifier would refuse that.
    let areas = Probed::load::<u64>(pool, global!(layout.pool_areas)).unwrap_or(0);
    let count = Probed::load::<u32>(pool, global!(layout.pool_area_count)).unwrap_or(0);
    let has_counters =
        global!(layout.area_used) != OFFSET_ABSENT && global!(layout.area_size) != OFFSET_ABSENT;
    if areas == 0 || count == 0 || !has_counters {
        return Probed::load::<u64>(pool, global!(layout.pool_used)).unwrap_or(UNKNOWN);
    }
    if count > MOST_AREAS {
        return UNKNOWN;
    }
    let mut used = 0;
    for index in 0..MOST_AREAS {
        // No way out of the middle: the verifier of 6.1 would follow each.
        if index < count {
            let area = areas + u64::from(index) * u64::from(global!(layout.area_size));
            used += Probed::load::<u64>(area, global!(layout.area_used)).unwrap_or(0);
        }
    }
    used
}

/// The attributes of a mapping. Since 7.3 the function gets their address and may add DMA_ATTR_CC_SHARED
/// (kernel/dma/swiotlb.c); they are its caller's, which waits.
#[inline(always)]
fn attributes<C: Context>(call: &Call<'_, C>) -> u64 {
    let Some(argument) = call.find(Argument::Attrs) else { return UNKNOWN };
    if is_behind(Point::SwiotlbTblMapSingle, Argument::Attrs) {
        Probed::load::<u64>(argument, 0).unwrap_or(UNKNOWN)
    } else {
        argument
    }
}

/// `swiotlb_tbl_map_single` at return: slots were taken, or there were none.
#[inline(always)]
pub fn slots_taken<C: Context>(call: &mut Call<'_, C>) {
    let device = call.argument(Argument::Dev);
    introduce(call, device);
    let (original, size) = (call.argument(Argument::OrigAddr), call.argument(Argument::MappingSize));
    let alloc_size = call.find(Argument::AllocSize).unwrap_or(UNKNOWN);
    let (direction, attributes) = (call.argument(Argument::Dir), attributes(call));
    let (bounce, align_mask) = (call.result(), call.find(Argument::AlignMask).unwrap_or(0));
    let duration = call.duration;
    let Some(room) = call.reserve(Kind::SwiotlbMapSingle) else { return };
    let pool = pool_of::<C>(device);
    room.send(SwiotlbMapSingle {
        device,
        pool: pool.unwrap_or(UNKNOWN),
        pool_start: pool_word::<C>(pool, global!(layout.pool_start)),
        pool_end: pool_word::<C>(pool, global!(layout.pool_end)),
        original,
        bounce,
        size,
        alloc_size,
        attributes,
        direction: direction as u32,
        pool_bits: pool_bits::<C>(pool),
        used_slots: if bounce == MAPPING_ERROR { used_slots(device) } else { UNKNOWN },
        align_mask: align_mask as u32,
        reserved: 0,
        duration,
    });
}

/// `swiotlb_tbl_unmap_single` and its successor at entry: the slot still says what it holds.
#[inline(always)]
pub fn slots_released<C: Context>(call: &mut Call<'_, C>) {
    let device = call.argument(Argument::Dev);
    introduce(call, device);
    let (bounce, size) = (call.argument(Argument::TlbAddr), call.argument(Argument::MappingSize));
    let (direction, attributes) = (call.argument(Argument::Dir), call.argument(Argument::Attrs));
    let argument_pool = call.find(Argument::Pool);
    let Some(room) = call.reserve(Kind::SwiotlbUnmapSingle) else { return };
    let (slot_original, slot_size) = slot(device, argument_pool, bounce);
    room.send(SwiotlbUnmapSingle {
        device,
        pool: pool_or_unknown::<C>(device),
        bounce,
        size,
        slot_original,
        slot_size,
        attributes,
        direction: direction as u32,
        reserved: 0,
    });
}

/// Of [`EntryState::kept`] of an unmap: what the slot said before.
const SLOT_ORIGINAL: usize = 0;

/// `swiotlb_tbl_unmap_single` at entry, where its return is looked at too.
#[inline(always)]
pub fn keep_slot<C: Context>(context: &C, begun: &mut EntryState) {
    const POINT: Point = Point::SwiotlbTblUnmapSingle;
    let device = context.argument(POINT, Argument::Dev).unwrap_or(0);
    let bounce = context.argument(POINT, Argument::TlbAddr).unwrap_or(0);
    begun.kept[SLOT_ORIGINAL] = slot(device, context.argument(POINT, Argument::Pool), bounce).0;
}

/// `swiotlb_tbl_unmap_single` at return, when the slot says that it holds what it held: the release was left out.
/// When it holds something else, another CPU has taken it since. Slots of pools that come and go are not looked
/// at: the pool may be gone.
#[inline(always)]
pub fn slot_kept<C: Context>(call: &mut Call<'_, C>) {
    let Some(before) = call.begun.as_ref().map(|begun| begun.kept[SLOT_ORIGINAL]) else { return };
    let (device, bounce) = (call.argument(Argument::Dev), call.argument(Argument::TlbAddr));
    let argument_pool = call.find(Argument::Pool);
    let (slot_original, slot_size) = slot(device, argument_pool, bounce);
    if before == FREE || before == UNKNOWN || slot_original != before {
        return;
    }
    let pool = Probed::load::<u64>(device, global!(layout.device_io_tlb_mem)).unwrap_or(0);
    // The plan made sure that the field is there where functions get a pool.
    if let Some(argument_pool) = argument_pool
        && argument_pool != pool + u64::from(global!(layout.pool_default))
    {
        return;
    }
    let Some(room) = call.reserve(Kind::SwiotlbSlotKept) else { return };
    room.send(SwiotlbSlotKept { device, pool, bounce, slot_original, slot_size });
}

/// A free slot's original address (kernel/dma/swiotlb.c, INVALID_PHYS_ADDR).
const FREE: u64 = u64::MAX;

/// Original address and size in the slot of a bounce address (`struct io_tlb_slot`).
#[inline(always)]
fn slot(device: u64, argument_pool: Option<u64>, bounce: u64) -> (u64, u64) {
    // The pool's own address is followed as a plain number: the slot's index is not a constant, which
    // typed pointers do not allow.
    let start;
    let slots;
    if let Some(pool) = argument_pool {
        start = Probed::load::<u64>(pool, global!(layout.argument_pool_start)).unwrap_or(UNKNOWN);
        slots = Probed::load::<u64>(pool, global!(layout.argument_pool_slots)).unwrap_or(0);
    } else {
        let pool = Probed::load::<u64>(device, global!(layout.device_io_tlb_mem)).unwrap_or(0);
        start = Probed::load::<u64>(pool, global!(layout.pool_start)).unwrap_or(UNKNOWN);
        slots = Probed::load::<u64>(pool, global!(layout.pool_slots)).unwrap_or(0);
    }
    if start == UNKNOWN || slots == 0 || global!(layout.slot_size) == OFFSET_ABSENT {
        return (UNKNOWN, UNKNOWN);
    }
    let slot = slots + (bounce.wrapping_sub(start) >> SLOT_SHIFT) * u64::from(global!(layout.slot_size));
    (
        Probed::load::<u64>(slot, global!(layout.slot_original)).unwrap_or(UNKNOWN),
        Probed::load::<u64>(slot, global!(layout.slot_alloc_size)).unwrap_or(UNKNOWN),
    )
}

/// `swiotlb_sync_single_for_cpu` and `_for_device` at entry.
#[inline(always)]
pub fn synced<C: Context>(call: &mut Call<'_, C>, kind: Kind) {
    let device = call.argument(Argument::Dev);
    introduce(call, device);
    let (bounce, size) = (call.argument(Argument::TlbAddr), call.argument(Argument::Size));
    let direction = call.argument(Argument::Dir);
    let Some(room) = call.reserve(kind) else { return };
    room.send(SwiotlbSync {
        device,
        pool: pool_or_unknown::<C>(device),
        bounce,
        size,
        direction: direction as u32,
        reserved: 0,
    });
}

/// `swiotlb_alloc` at return: the first page, or none.
#[inline(always)]
pub fn pages_taken<C: Context>(call: &mut Call<'_, C>) {
    let device = call.argument(Argument::Dev);
    introduce(call, device);
    let (size, page) = (call.argument(Argument::Size), call.result());
    let Some(room) = call.reserve(Kind::SwiotlbAlloc) else { return };
    let is_taken = page != 0;
    let used_slots = if is_taken { UNKNOWN } else { used_slots(device) };
    room.send(SwiotlbPages { page, size, used_slots, result: u32::from(is_taken), ..pages::<C>(device) });
}

/// `swiotlb_free` at return: true when the pages were the pool's.
#[inline(always)]
pub fn pages_released<C: Context>(call: &mut Call<'_, C>) {
    let device = call.argument(Argument::Dev);
    introduce(call, device);
    let (page, size) = (call.argument(Argument::Page), call.argument(Argument::Size));
    let result = call.result() as u32 & 1;
    let Some(room) = call.reserve(Kind::SwiotlbFree) else { return };
    room.send(SwiotlbPages { page, size, result, ..pages::<C>(device) });
}

/// A device's pool, and nothing about pages yet.
#[inline(always)]
fn pages<C: Context>(device: u64) -> SwiotlbPages {
    let pool = pool_of::<C>(device);
    SwiotlbPages {
        device,
        pool: pool.unwrap_or(UNKNOWN),
        pool_start: pool_word::<C>(pool, global!(layout.pool_start)),
        pool_end: pool_word::<C>(pool, global!(layout.pool_end)),
        page: 0,
        size: 0,
        used_slots: UNKNOWN,
        result: 0,
        reserved: 0,
    }
}
