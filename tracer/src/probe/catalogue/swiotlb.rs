//! Bounce buffers.

use tracer_common::event::Kind;
use tracer_common::point::{Argument, Point};

use super::{Absence, Behind, Candidate, Entry, Wanted};

const DEV: Wanted = Wanted::pointer(Argument::Dev, &["dev", "hwdev"], &["device"]);
const TLB_ADDR: Wanted = Wanted::value(Argument::TlbAddr, &["tlb_addr"]);
const SIZE: Wanted = Wanted::value(Argument::Size, &["size"]);
const MAPPING_SIZE: Wanted = Wanted::value(Argument::MappingSize, &["mapping_size", "size"]);
const DIR: Wanted = Wanted::value(Argument::Dir, &["dir"]);
const ATTRS: Wanted = Wanted::value(Argument::Attrs, &["attrs"]);

const NAMES: &[Kind] = &[Kind::DeviceName];
const LOST_NAME: Option<&str> = Some("the device's name");

const NO_SWIOTLB: Absence = Absence {
    config: Some("SWIOTLB"),
    inlined_into: None,
    instead: &[],
    reason: "it comes with CONFIG_SWIOTLB; its symbol is missing",
};
const NO_RESTRICTED_POOL: Absence = Absence {
    config: Some("DMA_RESTRICTED_POOL"),
    inlined_into: None,
    instead: &[],
    reason: "it comes with restricted pools (CONFIG_DMA_RESTRICTED_POOL, 5.15 on, device-tree machines)",
};

const NO_DMA: Absence = Absence {
    config: Some("SWIOTLB"),
    inlined_into: None,
    instead: &[],
    reason: "every kernel with DMA has it; its symbol is missing",
};

const SYNC: &str = "struct device *dev, phys_addr_t tlb_addr, size_t size, enum dma_data_direction dir";
const SYNC_POOL: &str = "struct device *dev, phys_addr_t tlb_addr, size_t size, enum dma_data_direction dir, struct io_tlb_pool *pool";

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        also: NAMES,
        arguments: &[DEV, Wanted::value(Argument::Paddr, &["paddr"]), SIZE, DIR, ATTRS],
        lost_without_probe_read: LOST_NAME,
        candidates: &[Candidate::of(
            "swiotlb_map",
            "5.15 on",
            &[
                "struct device *dev, phys_addr_t paddr, size_t size, enum dma_data_direction dir, unsigned long attrs",
            ],
        )],
        absence: NO_SWIOTLB,
        ..Entry::of(Point::SwiotlbMap)
    },
    Entry {
        also: NAMES,
        arguments: &[
            DEV,
            Wanted::value(Argument::OrigAddr, &["orig_addr"]),
            MAPPING_SIZE,
            Wanted::value(Argument::AllocSize, &["alloc_size"]).optional(),
            DIR,
            ATTRS.or_behind(Behind { names: &["attrs"], types: &[], field: None }).optional(),
            Wanted::value(Argument::AlignMask, &["alloc_align_mask"]).optional(),
        ],
        lost_without_probe_read: LOST_NAME,
        candidates: &[Candidate::of(
            "swiotlb_tbl_map_single",
            "5.15 on (without alloc_size since 6.10; the attributes are behind a pointer since 7.3)",
            &[
                "struct device *dev, phys_addr_t orig_addr, size_t mapping_size, size_t alloc_size, \
                 unsigned int alloc_align_mask, enum dma_data_direction dir, unsigned long attrs",
                "struct device *dev, phys_addr_t orig_addr, size_t mapping_size, unsigned int alloc_align_mask, \
                 enum dma_data_direction dir, unsigned long attrs",
                "struct device *dev, phys_addr_t orig_addr, size_t mapping_size, unsigned int alloc_align_mask, \
                 enum dma_data_direction dir, unsigned long *attrs",
            ],
        )],
        absence: NO_SWIOTLB,
        ..Entry::of(Point::SwiotlbTblMapSingle)
    },
    Entry {
        also: NAMES,
        arguments: &[
            DEV,
            TLB_ADDR,
            MAPPING_SIZE,
            DIR,
            ATTRS,
            Wanted::pointer(Argument::Pool, &["pool"], &["io_tlb_pool"]).optional(),
        ],
        lost_without_probe_read: Some("the device's name, and what the slot held"),
        candidates: &[
            Candidate {
                // Which pool stays, and whose slots may be looked at once more.
                fields: &["pool_default"],
                ..Candidate::of(
                    "__swiotlb_tbl_unmap_single",
                    "6.11 on",
                    &[
                        "struct device *dev, phys_addr_t tlb_addr, size_t mapping_size, enum dma_data_direction dir, \
                   unsigned long attrs, struct io_tlb_pool *pool",
                    ],
                )
            },
            Candidate::of(
                "swiotlb_tbl_unmap_single",
                "up to 6.10 (inline since 6.11)",
                &[
                    "struct device *dev, phys_addr_t tlb_addr, size_t mapping_size, enum dma_data_direction dir, \
                   unsigned long attrs",
                ],
            ),
        ],
        absence: NO_SWIOTLB,
        ..Entry::of(Point::SwiotlbTblUnmapSingle)
    },
    Entry {
        also: NAMES,
        arguments: &[DEV, TLB_ADDR, SIZE, DIR],
        lost_without_probe_read: LOST_NAME,
        candidates: &[
            Candidate::of("__swiotlb_sync_single_for_cpu", "6.11 on", &[SYNC_POOL]),
            Candidate::of("swiotlb_sync_single_for_cpu", "5.15 to 6.10 (inline since 6.11)", &[SYNC]),
        ],
        absence: NO_SWIOTLB,
        ..Entry::of(Point::SwiotlbSyncSingleForCpu)
    },
    Entry {
        also: NAMES,
        arguments: &[DEV, TLB_ADDR, SIZE, DIR],
        lost_without_probe_read: LOST_NAME,
        candidates: &[
            Candidate::of("__swiotlb_sync_single_for_device", "6.11 on", &[SYNC_POOL]),
            Candidate::of("swiotlb_sync_single_for_device", "5.15 to 6.10 (inline since 6.11)", &[SYNC]),
        ],
        absence: NO_SWIOTLB,
        ..Entry::of(Point::SwiotlbSyncSingleForDevice)
    },
    Entry {
        also: NAMES,
        arguments: &[DEV, SIZE],
        lost_without_probe_read: LOST_NAME,
        candidates: &[Candidate::of("swiotlb_alloc", "5.15 on", &["struct device *dev, size_t size"])],
        absence: NO_RESTRICTED_POOL,
        ..Entry::of(Point::SwiotlbAlloc)
    },
    Entry {
        also: NAMES,
        arguments: &[DEV, Wanted::pointer(Argument::Page, &["page"], &["page"]), SIZE],
        lost_without_probe_read: LOST_NAME,
        candidates: &[Candidate::of(
            "swiotlb_free",
            "5.15 on",
            &["struct device *dev, struct page *page, size_t size"],
        )],
        absence: NO_RESTRICTED_POOL,
        ..Entry::of(Point::SwiotlbFree)
    },
    Entry {
        also: NAMES,
        arguments: &[
            DEV,
            Wanted::pointer(Argument::Page, &["page"], &["page"]).optional(),
            Wanted::value(Argument::Offset, &["offset"]).optional(),
            SIZE,
            DIR,
            ATTRS,
            Wanted::value(Argument::Phys, &["phys"]).optional(),
        ],
        fields: &["device_io_tlb_mem", "pool_force_bounce", "device_iommu_group"],
        lost_without_probe_read: LOST_NAME,
        candidates: &[
            Candidate::of(
                "dma_map_phys",
                "6.18 on",
                &[
                    "struct device *dev, phys_addr_t phys, size_t size, enum dma_data_direction dir, unsigned long attrs",
                ],
            ),
            Candidate {
                // Whether an address is that of the page, only the page's number tells.
                only_with_pages: true,
                ..Candidate::of(
                    "dma_map_page_attrs",
                    "up to 6.17",
                    &["struct device *dev, struct page *page, size_t offset, size_t size, \
                     enum dma_data_direction dir, unsigned long attrs"],
                )
            },
        ],
        absence: NO_DMA,
        ..Entry::of(Point::DmaMapPage)
    },
    Entry {
        also: NAMES,
        arguments: &[DEV, Wanted::pointer(Argument::Sgl, &["sgl", "sg"], &["scatterlist"]), DIR],
        fields: &[
            "device_io_tlb_mem",
            "pool_force_bounce",
            "device_iommu_group",
            "sg_page",
            "sg_offset",
            "sg_length",
            "sg_dma_address",
            "sg_size",
        ],
        lost_without_probe_read: Some("the device's name, and the elements of the list"),
        candidates: &[Candidate {
            // As above, of each element.
            only_with_pages: true,
            ..Candidate::of(
                "dma_direct_map_sg",
                "5.15 on",
                &["struct device *dev, struct scatterlist *sgl, int nents, enum dma_data_direction dir, \
                 unsigned long attrs"],
            )
        }],
        absence: NO_DMA,
        ..Entry::of(Point::DmaDirectMapSg)
    },
];
