#!/bin/bash
# device_memory_peer.sh COMMAND…: bpftrace counts what drivers do with device memory while the command runs, and prints
# its maps as JSON: by the name of the process, and by direction or result where there is one. It is what rmapscope
# records in the families migrate, exclusive and hmm, asked of the kernel's functions by somebody else.
#
# The direction is MIGRATE_VMA_SELECT_SYSTEM (include/linux/migrate.h): 1 for system memory, which goes to a device. As a
# text it would be several keys: bpftrace 0.17 leaves the bytes behind a shorter text as they were.
#
# A name with a star may match nothing: migrate_device_pfns is not in 6.12, page_make_device_exclusive_one not in 6.15,
# where make_device_exclusive_range became make_device_exclusive.
exec bpftrace -f json -c "$*" -e '
kprobe:migrate_vma_setup { @arguments[tid] = arg0; }
kretprobe:migrate_vma_setup /@arguments[tid]/ {
    $migrate = (struct migrate_vma *)@arguments[tid];
    @migrate_vma_setup[comm, $migrate->flags & 1] = count();
    @collected[comm, $migrate->flags & 1] = sum($migrate->cpages);
    delete(@arguments[tid]);
}
kprobe:migrate_vma_pages { @migrate_vma_pages[comm, ((struct migrate_vma *)arg0)->flags & 1] = count(); }
kprobe:migrate_vma_finalize { @migrate_vma_finalize[comm, ((struct migrate_vma *)arg0)->flags & 1] = count(); }
kprobe:migrate_device_rang*, kprobe:migrate_device_pfns* { @migrate_device_range[comm] = count(); }
kretprobe:hmm_range_fault { @hmm_range_fault[comm, (int32)retval] = count(); }
kretprobe:mmu_interval_notifier_insert* { @mmu_interval_notifier_insert[comm, (int32)retval] = count(); }
kprobe:mmu_interval_notifier_remove { @mmu_interval_notifier_remove[comm] = count(); }
kretprobe:make_device_exclusive* { @make_device_exclusive[comm] = count(); }
kprobe:page_make_device_exclusive_o* { @exclusive_vma[comm] = count(); }
'
