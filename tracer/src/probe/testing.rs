//! Made-up kernels for tests: what the functions looked like in each version, from the kernel's source.

use std::collections::{BTreeMap, BTreeSet};

use super::view::{KernelView, Presence};
use crate::kernel::{FunctionSignature, Parameter};

/// A kernel made of tables.
#[derive(Clone, Debug, Default)]
pub(crate) struct TestKernel {
    pub(crate) functions: BTreeMap<String, FunctionSignature>,
    pub(crate) tracepoints: BTreeMap<String, FunctionSignature>,
    pub(crate) variants: BTreeMap<String, Vec<String>>,
    pub(crate) twice: BTreeSet<String>,
    pub(crate) untraceable: BTreeSet<String>,
    pub(crate) blacklisted: BTreeSet<String>,
    pub(crate) missing_fields: BTreeSet<String>,
    pub(crate) unset: BTreeSet<String>,
    pub(crate) symbols_known: bool,
    pub(crate) has_func_arg: bool,
    pub(crate) trampoline_arguments: usize,
    pub(crate) no_trampolines: Option<String>,
    pub(crate) no_kprobes: Option<String>,
    pub(crate) no_page_tables: Option<String>,
    pub(crate) no_memory_map: Option<String>,
}

/// A signature from C: `type name, type *name`; without names for tracepoints.
pub(crate) fn signature(parameters: &str) -> FunctionSignature {
    let parameters =
        parameters.split(", ").filter(|declaration| !declaration.is_empty()).map(|declaration| {
            let end =
                declaration.trim_end_matches(|letter: char| letter.is_alphanumeric() || letter == '_').len();
            let (type_name, name) = declaration.split_at(end);
            let is_type = ["long", "int", "bool", "pid_t", "migrate_mode"].contains(&name);
            let (type_name, name) = if is_type { (declaration, "") } else { (type_name.trim_end(), name) };
            Parameter { name: name.to_owned(), type_name: type_name.to_owned(), size: 8 }
        });
    FunctionSignature { parameters: parameters.collect(), result: "void".to_owned() }
}

const PROCESS: &str = "\
sched:sched_process_fork(struct task_struct *, struct task_struct *)
sched:sched_process_exec(struct task_struct *, pid_t, struct linux_binprm *)
sched:sched_process_exit(struct task_struct *)
task:task_rename(struct task_struct *, const char *)
copy_page_range(struct vm_area_struct *dst_vma, struct vm_area_struct *src_vma)
do_swap_page(struct vm_fault *vmf)
swiotlb_map(struct device *dev, phys_addr_t paddr, size_t size, enum dma_data_direction dir, unsigned long attrs)
unmap_page_range(struct mmu_gather *tlb, struct vm_area_struct *vma, unsigned long addr, unsigned long end, struct zap_details *details)
exit_mmap(struct mm_struct *mm)
dma_map_page_attrs(struct device *dev, struct page *page, size_t offset, size_t size, enum dma_data_direction dir, unsigned long attrs)
dma_direct_map_sg(struct device *dev, struct scatterlist *sgl, int nents, enum dma_data_direction dir, unsigned long attrs)
";

const MIGRATION_TRACEPOINTS: &str = "\
migrate:set_migration_pte(unsigned long, unsigned long, int)
migrate:remove_migration_pte(unsigned long, unsigned long, int)
";

const V5_15: &str = "\
try_to_unmap(struct page *page, enum ttu_flags flags)
try_to_migrate(struct page *page, enum ttu_flags flags)
try_to_unmap_one(struct page *page, struct vm_area_struct *vma, unsigned long address, void *arg)
try_to_migrate_one(struct page *page, struct vm_area_struct *vma, unsigned long address, void *arg)
migrate:mm_migrate_pages(unsigned long, unsigned long, unsigned long, unsigned long, unsigned long, enum migrate_mode, int)
remove_migration_pte(struct page *new, struct vm_area_struct *vma, unsigned long addr, void *old)
migrate_vma_setup(struct migrate_vma *args)
page_mlock(struct page *page)
page_mlock_one(struct page *page, struct vm_area_struct *vma, unsigned long address, void *unused)
mlock_vma_page(struct page *page)
munlock_vma_page(struct page *page)
mlock_fixup(struct vm_area_struct *vma, struct vm_area_struct **prev, unsigned long start, unsigned long end, vm_flags_t newflags)
make_device_exclusive_range(struct mm_struct *mm, unsigned long start, unsigned long end, struct page **pages, void *owner)
page_make_device_exclusive_one(struct page *page, struct vm_area_struct *vma, unsigned long address, void *priv)
restore_exclusive_pte(struct vm_area_struct *vma, struct page *page, unsigned long address, pte_t *ptep)
swiotlb_tbl_map_single(struct device *dev, phys_addr_t orig_addr, size_t mapping_size, size_t alloc_size, unsigned int alloc_align_mask, enum dma_data_direction dir, unsigned long attrs)
swiotlb_tbl_unmap_single(struct device *dev, phys_addr_t tlb_addr, size_t mapping_size, enum dma_data_direction dir, unsigned long attrs)
swiotlb_sync_single_for_cpu(struct device *dev, phys_addr_t tlb_addr, size_t size, enum dma_data_direction dir)
swiotlb_sync_single_for_device(struct device *dev, phys_addr_t tlb_addr, size_t size, enum dma_data_direction dir)
move_to_new_page(struct page *newpage, struct page *page, enum migrate_mode mode)
move_page_tables(struct vm_area_struct *vma, unsigned long old_addr, struct vm_area_struct *new_vma, unsigned long new_addr, unsigned long len, bool need_rmap_locks)
swiotlb_alloc(struct device *dev, size_t size)
swiotlb_free(struct device *dev, struct page *page, size_t size)
";

const V6_1: &str = "\
try_to_unmap(struct folio *folio, enum ttu_flags flags)
try_to_migrate(struct folio *folio, enum ttu_flags flags)
try_to_unmap_one(struct folio *folio, struct vm_area_struct *vma, unsigned long address, void *arg)
try_to_migrate_one(struct folio *folio, struct vm_area_struct *vma, unsigned long address, void *arg)
migrate:mm_migrate_pages(unsigned long, unsigned long, unsigned long, unsigned long, unsigned long, enum migrate_mode, int)
remove_migration_pte(struct folio *folio, struct vm_area_struct *vma, unsigned long addr, void *old)
migrate_vma_setup(struct migrate_vma *args)
mlock_folio(struct folio *folio)
munlock_page(struct page *page)
move_to_new_folio(struct folio *dst, struct folio *src, enum migrate_mode mode)
move_page_tables(struct vm_area_struct *vma, unsigned long old_addr, struct vm_area_struct *new_vma, unsigned long new_addr, unsigned long len, bool need_rmap_locks)
mlock_fixup(struct vm_area_struct *vma, struct vm_area_struct **prev, unsigned long start, unsigned long end, vm_flags_t newflags)
swiotlb_tbl_map_single(struct device *dev, phys_addr_t orig_addr, size_t mapping_size, size_t alloc_size, unsigned int alloc_align_mask, enum dma_data_direction dir, unsigned long attrs)
swiotlb_tbl_unmap_single(struct device *dev, phys_addr_t tlb_addr, size_t mapping_size, enum dma_data_direction dir, unsigned long attrs)
swiotlb_sync_single_for_cpu(struct device *dev, phys_addr_t tlb_addr, size_t size, enum dma_data_direction dir)
swiotlb_sync_single_for_device(struct device *dev, phys_addr_t tlb_addr, size_t size, enum dma_data_direction dir)
";

const V6_12: &str = "\
try_to_unmap(struct folio *folio, enum ttu_flags flags)
try_to_migrate(struct folio *folio, enum ttu_flags flags)
try_to_unmap_one(struct folio *folio, struct vm_area_struct *vma, unsigned long address, void *arg)
try_to_migrate_one(struct folio *folio, struct vm_area_struct *vma, unsigned long address, void *arg)
migrate:mm_migrate_pages(unsigned long, unsigned long, unsigned long, unsigned long, unsigned long, unsigned long, enum migrate_mode, int)
remove_migration_pte(struct folio *folio, struct vm_area_struct *vma, unsigned long addr, void *arg)
migrate_vma_setup(struct migrate_vma *args)
mlock_folio(struct folio *folio)
munlock_folio(struct folio *folio)
move_to_new_folio(struct folio *dst, struct folio *src, enum migrate_mode mode)
move_page_tables(struct vm_area_struct *vma, unsigned long old_addr, struct vm_area_struct *new_vma, unsigned long new_addr, unsigned long len, bool need_rmap_locks, bool for_stack)
mlock_fixup(struct vma_iterator *vmi, struct vm_area_struct *vma, struct vm_area_struct **prev, unsigned long start, unsigned long end, vm_flags_t newflags)
swiotlb_tbl_map_single(struct device *dev, phys_addr_t orig_addr, size_t mapping_size, unsigned int alloc_align_mask, enum dma_data_direction dir, unsigned long attrs)
__swiotlb_tbl_unmap_single(struct device *dev, phys_addr_t tlb_addr, size_t mapping_size, enum dma_data_direction dir, unsigned long attrs, struct io_tlb_pool *pool)
__swiotlb_sync_single_for_cpu(struct device *dev, phys_addr_t tlb_addr, size_t size, enum dma_data_direction dir, struct io_tlb_pool *pool)
__swiotlb_sync_single_for_device(struct device *dev, phys_addr_t tlb_addr, size_t size, enum dma_data_direction dir, struct io_tlb_pool *pool)
";

const V6_12_EXCLUSIVE: &str = "\
make_device_exclusive_range(struct mm_struct *mm, unsigned long start, unsigned long end, struct page **pages, void *owner)
page_make_device_exclusive_one(struct folio *folio, struct vm_area_struct *vma, unsigned long address, void *priv)
restore_exclusive_pte(struct vm_area_struct *vma, struct page *page, unsigned long address, pte_t *ptep)
";

const V6_15_EXCLUSIVE: &str = "\
make_device_exclusive(struct mm_struct *mm, unsigned long addr, void *owner, struct folio **foliop)
restore_exclusive_pte(struct vm_area_struct *vma, struct folio *folio, struct page *page, unsigned long address, pte_t *ptep, pte_t orig_pte)
";

impl TestKernel {
    /// A kernel with those functions and tracepoints.
    fn new(tables: &[&str]) -> Self {
        let mut kernel =
            Self { symbols_known: true, has_func_arg: true, trampoline_arguments: 12, ..Self::default() };
        for line in tables.iter().flat_map(|table| table.lines()) {
            let (name, parameters) = line.split_once('(').expect("name(parameters)");
            let found = signature(parameters.trim_end_matches(')'));
            match name.split_once(':') {
                Some((_, name)) => kernel.tracepoints.insert(name.to_owned(), found),
                None => kernel.functions.insert(name.to_owned(), found),
            };
        }
        kernel
    }

    fn without(mut self, options: &[&str]) -> Self {
        self.unset.extend(options.iter().map(|option| (*option).to_owned()));
        self
    }

    /// 5.15 with device memory and restricted pools.
    pub(crate) fn v5_15() -> Self {
        Self { has_func_arg: false, trampoline_arguments: 6, ..Self::new(&[PROCESS, V5_15]) }
    }

    /// 6.1 as distributions build it.
    pub(crate) fn v6_1() -> Self {
        let kernel = Self::new(&[PROCESS, MIGRATION_TRACEPOINTS, V6_1]);
        Self { trampoline_arguments: 6, ..kernel }.without(&["DEVICE_PRIVATE", "DMA_RESTRICTED_POOL"])
    }

    /// 6.12 as distributions build it.
    pub(crate) fn v6_12() -> Self {
        Self::new(&[PROCESS, MIGRATION_TRACEPOINTS, V6_12])
            .without(&["DEVICE_PRIVATE", "DMA_RESTRICTED_POOL"])
    }

    /// 6.12 with device memory.
    pub(crate) fn v6_12_hmm() -> Self {
        Self::new(&[PROCESS, MIGRATION_TRACEPOINTS, V6_12, V6_12_EXCLUSIVE]).without(&["DMA_RESTRICTED_POOL"])
    }

    /// 6.15 and later with device memory.
    pub(crate) fn v6_15() -> Self {
        Self::new(&[PROCESS, MIGRATION_TRACEPOINTS, V6_12, V6_15_EXCLUSIVE]).without(&["DMA_RESTRICTED_POOL"])
    }

    /// Every made-up kernel.
    pub(crate) fn all() -> [Self; 5] {
        [Self::v5_15(), Self::v6_1(), Self::v6_12(), Self::v6_12_hmm(), Self::v6_15()]
    }
}

impl KernelView for TestKernel {
    fn function(&self, name: &str) -> Option<FunctionSignature> {
        self.functions.get(name).cloned()
    }

    fn tracepoint(&self, name: &str) -> Option<FunctionSignature> {
        self.tracepoints.get(name).cloned()
    }

    fn symbol(&self, name: &str) -> Presence {
        match (self.symbols_known, self.functions.contains_key(name)) {
            (false, _) => Presence::Unknown,
            (true, false) => Presence::Absent,
            (true, true) if self.twice.contains(name) => Presence::Several(2),
            (true, true) => Presence::Once,
        }
    }

    fn variants(&self, name: &str) -> Vec<String> {
        self.variants.get(name).cloned().unwrap_or_default()
    }

    fn is_traceable(&self, name: &str) -> Option<bool> {
        Some(!self.untraceable.contains(name))
    }

    fn is_blacklisted(&self, name: &str) -> Option<bool> {
        Some(self.blacklisted.contains(name))
    }

    fn config(&self, option: &str) -> Option<bool> {
        self.unset.contains(option).then_some(false)
    }

    fn has_field(&self, field: &str) -> bool {
        !self.missing_fields.contains(field)
    }

    fn has_helper(&self, enumerator: &str) -> bool {
        self.has_func_arg && ["BPF_FUNC_get_func_arg", "BPF_FUNC_loop"].contains(&enumerator)
    }

    fn no_page_tables(&self) -> Option<String> {
        self.no_page_tables.clone()
    }

    fn no_memory_map(&self) -> Option<String> {
        self.no_memory_map.clone()
    }

    fn trampoline_arguments(&self) -> usize {
        self.trampoline_arguments
    }

    fn no_trampolines(&self) -> Option<String> {
        self.no_trampolines.clone()
    }

    fn no_kprobes(&self) -> Option<String> {
        self.no_kprobes.clone()
    }
}
