//! The works that are measured, and what tracers are asked to watch in each.

use std::fmt::{self, Display, Formatter};

/// A kind of work, as `rmapscope-workload cost --work` does it.
#[derive(Debug, PartialEq, Eq)]
pub struct Work {
    /// What the workload calls it.
    pub name: &'static str,
    /// What is done.
    pub what: &'static str,
    /// The function that is called once for each event, which is also the name of the event.
    pub function: &'static str,
    /// What the workload does in each round, in its units.
    pub units: u64,
    /// About how many events a round causes.
    pub events: u64,
    /// Arguments of the function that others record: in registers of x86-64, for perf and trace-cmd.
    pub registers: &'static str,
    /// The same for bpftrace's `printf`, by kprobe: two values.
    pub kprobe_arguments: &'static str,
    /// The same by name.
    pub kfunc_arguments: &'static str,
    /// Whether it takes a disk whose requests bounce.
    pub needs_disk: bool,
    /// Whether it takes a kernel with the test driver for device memory.
    pub needs_test_driver: bool,
}

/// All works in the order of the tables.
pub const WORKS: &[Work] = &[
    Work {
        name: "reclaim",
        what: "anonymous pages are touched and paged out to zram by madvise(MADV_PAGEOUT)",
        function: "try_to_unmap",
        units: 4096,
        events: 4096,
        registers: "folio=%di flags=%si",
        kprobe_arguments: "arg0, arg1",
        kfunc_arguments: "(uint64)args->folio, args->flags",
        needs_disk: false,
        needs_test_driver: false,
    },
    Work {
        name: "fork",
        what: "a process of many mappings forks, and the child exits",
        function: "copy_page_range",
        // Each has an inaccessible neighbour on both sides.
        units: 256,
        events: 550,
        registers: "destination=%di source=%si",
        kprobe_arguments: "arg0, arg1",
        kfunc_arguments: "(uint64)args->dst_vma, (uint64)args->src_vma",
        needs_disk: false,
        needs_test_driver: false,
    },
    Work {
        name: "mlock",
        what: "pages are locked by mlock and unlocked by munlock",
        function: "mlock_folio",
        units: 4096,
        events: 4096,
        registers: "folio=%di",
        kprobe_arguments: "arg0, 0",
        kfunc_arguments: "(uint64)args->folio, 0",
        needs_disk: false,
        needs_test_driver: false,
    },
    Work {
        name: "device",
        what: "pages are migrated to the memory of test_hmm's device and faulted back one by one",
        function: "migrate_vma_finalize",
        units: 4096,
        // One a page on the way back; there, one a chunk.
        events: 4160,
        registers: "migrate=%di",
        kprobe_arguments: "arg0, 0",
        kfunc_arguments: "(uint64)args->migrate, 0",
        needs_disk: false,
        needs_test_driver: true,
    },
    Work {
        name: "swiotlb",
        what: "pages are read from an NVMe disk with O_DIRECT, 32 a request, under swiotlb=force",
        function: "swiotlb_map",
        units: 4096,
        events: 4096,
        registers: "device=%di address=%si",
        kprobe_arguments: "arg0, arg2",
        kfunc_arguments: "(uint64)args->dev, args->size",
        needs_disk: true,
        needs_test_driver: false,
    },
];

impl Work {
    /// Rounds for about so many events.
    pub fn rounds(&self, events: u64) -> u64 {
        events.div_ceil(self.events)
    }
}

impl Display for Work {
    fn fmt(&self, formatter: &mut Formatter) -> fmt::Result {
        formatter.write_str(self.name)
    }
}
