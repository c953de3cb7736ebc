//! Streaming DMA mappings of devices that must bounce.
//!
//! A pool that forces every mapping to bounce belongs to a device that can reach nothing else (a restricted
//! pool), or was asked for (`swiotlb=force`). Then `dma_direct_map_page` bounces without exception (6.12
//! kernel/dma/direct.h): an address that is the buffer's own did not. Devices behind an IOMMU or with DMA
//! operations of their own do not go there.

use tracer_common::event::{DmaMapDirect, Kind, MAPPING_ERROR, UNKNOWN};
use tracer_common::globals::OFFSET_ABSENT;
use tracer_common::point::{Argument, Point};

use crate::call::{Call, field};
use crate::context::Context;
use crate::entry::{page_at, page_size};
use crate::globals::global;
use crate::memory::{Memory, Plain, Probed};
use crate::probes::swiotlb::{introduce, pool_bits, pool_of};

/// DMA_ATTR_MMIO (include/linux/dma-mapping.h, 6.18 on): no memory, so nothing to bounce.
const MMIO: u64 = 1 << 10;

/// Most elements of a list that are looked at.
const MOST_ELEMENTS: u32 = 16;

/// Marks in an element's page word (include/linux/scatterlist.h, SG_CHAIN and SG_END).
const CHAIN: u64 = 1;
const END: u64 = 2;

/// SG_DMA_BUS_ADDRESS: peer-to-peer memory.
const BUS_ADDRESS: u32 = 1;

/// Whether every mapping of the device must bounce; the device is argument 0 of either point.
#[inline(always)]
pub fn must_bounce<C: Context>(context: &C, point: Point) -> bool {
    let device = context.argument(point, Argument::Dev).unwrap_or(0);
    // Kernels whose devices have no operations of their own have no field for them (CONFIG_ARCH_HAS_DMA_OPS); the
    // plan makes sure of the others.
    let has_operations = global!(layout.device_dma_ops) != OFFSET_ABSENT
        && field::<C, u64>(device, global!(layout.device_dma_ops)) != 0;
    let Some(pool) = pool_of::<C>(device) else { return false };
    C::Memory::load::<u8>(pool, global!(layout.pool_force_bounce)).is_some_and(|force| force & 1 != 0)
        && field::<C, u64>(device, global!(layout.device_iommu_group)) == 0
        && !has_operations
}

/// `dma_map_page_attrs` or `dma_map_phys` at return.
#[inline(always)]
pub fn mapped<C: Context>(call: &mut Call<'_, C>) {
    let (device, size) = (call.argument(Argument::Dev), call.argument(Argument::Size));
    let direction = call.argument(Argument::Dir) as u32;
    let dma_address = call.result();
    let is_direct = match call.find(Argument::Phys) {
        Some(physical) => physical == dma_address && call.argument(Argument::Attrs) & MMIO == 0,
        None => {
            is_page(call.argument(Argument::Page), dma_address.wrapping_sub(call.argument(Argument::Offset)))
        }
    };
    if is_direct {
        send(call, device, dma_address, size, direction);
    }
}

/// Whether a physical address is the first of a page.
#[inline(always)]
fn is_page(page: u64, physical: u64) -> bool {
    physical & (page_size() - 1) == 0 && page_at(physical) == page
}

/// `dma_direct_map_sg` at return: the first element that did not bounce stands for the list.
#[inline(always)]
pub fn list_mapped<C: Context>(call: &mut Call<'_, C>) {
    let (device, list) = (call.argument(Argument::Dev), call.argument(Argument::Sgl));
    let direction = call.argument(Argument::Dir) as u32;
    if (call.result() as i32) <= 0 {
        return;
    }
    let (mut direct, mut size) = (MAPPING_ERROR, 0);
    for index in 0..MOST_ELEMENTS {
        let Some(element) = Probed::load::<Element>(list, index * global!(layout.sg_size)) else { break };
        let page = element.word(global!(layout.sg_page));
        if page & CHAIN != 0 {
            break;
        }
        let is_bus = global!(layout.sg_dma_flags) != OFFSET_ABSENT
            && element.half(global!(layout.sg_dma_flags)) & BUS_ADDRESS != 0;
        let dma_address = element.word(global!(layout.sg_dma_address));
        let start = dma_address.wrapping_sub(u64::from(element.half(global!(layout.sg_offset))));
        if !is_bus && is_page(page & !(CHAIN | END), start) {
            direct = dma_address;
            size = u64::from(element.half(global!(layout.sg_length)));
            break;
        }
        if page & END != 0 {
            break;
        }
    }
    if direct != MAPPING_ERROR {
        send(call, device, direct, size, direction);
    }
}

/// A `struct scatterlist`: read at once, because each read has two ways on.
#[derive(Clone, Copy)]
#[repr(C)]
struct Element([u64; 4]);

impl Plain for Element {}

impl Element {
    /// The eight bytes at an offset that user space found inside.
    #[inline(always)]
    fn word(&self, offset: u32) -> u64 {
        // SAFETY: the verifier knows the offset and refuses what lies outside.
        unsafe { self.0.as_ptr().byte_add(offset as usize).read_volatile() }
    }

    /// The four bytes there.
    #[inline(always)]
    fn half(&self, offset: u32) -> u32 {
        // SAFETY: as above.
        unsafe { self.0.as_ptr().byte_add(offset as usize).cast::<u32>().read_volatile() }
    }
}

/// The address is the buffer's own, so it is its physical address too.
#[inline(always)]
fn send<C: Context>(call: &mut Call<'_, C>, device: u64, dma_address: u64, size: u64, direction: u32) {
    introduce(call, device);
    let pool = pool_of::<C>(device);
    let Some(room) = call.reserve(Kind::DmaMapDirect) else { return };
    room.send(DmaMapDirect {
        device,
        pool: pool.unwrap_or(UNKNOWN),
        original: dma_address,
        dma_address,
        size,
        direction,
        pool_bits: pool_bits::<C>(pool),
    });
}
