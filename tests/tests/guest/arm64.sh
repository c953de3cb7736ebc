#!/bin/sh
# Runs in a guest of 64-bit Arm: what the guest tests judge afterwards on the host. Its root has busybox alone, so this is
# written for its shell.
#
#   arm64.sh PROGRAMS OUT RUN
#
# PROGRAMS  folder of rmapscope and rmapscope-workload
# OUT       writable folder; each session gets one in it (common.sh)
# RUN       `restricted`, `large-pages`: the disk has a restricted pool; `stock-arm64`: a kernel without such pools
set -u
export PATH="$1:$PATH"
OUT=$2
RUN=$3
DISK=/dev/nvme0n1
DRIVER=/sys/bus/pci/drivers/nvme

# begin NAME: a session's folder, and the file that the workloads state their facts in; fails when it is not wanted.
begin() {
    grep -qx "$1" "$OUT/wanted" || return
    DIR="$OUT/$1"
    mkdir -p "$DIR"
    echo "rmapscope session: $1" >/dev/kmsg
    export FACTS="$DIR/facts"
    : >"$FACTS"
}

run() {
    timeout 120 "$@" >"$DIR/stdout" 2>"$DIR/stderr"
    echo $? >"$DIR/status"
}

# work NAME EVENTS ARGUMENT…: a recording of the workload.
METHOD=auto
work() {
    begin "$1" || return 0
    local events="$2"
    shift 2
    run rmapscope record --attach "$METHOD" -o "$DIR/trace.data" -e "$events" -- rmapscope-workload --facts "$FACTS" "$@"
}

# check NAME COMMAND…: a check of a command that is recorded, of the whole system: other tasks map for who asked.
check() {
    begin "$1" || return 0
    shift
    disk_controller >"$DIR/device"
    run rmapscope check -a -m 32M --record "$DIR/trace.data" --json "$DIR/verdict.json" -- "$@"
}

disk_controller() {
    readlink -f /sys/class/nvme/nvme0/device
}

# A line for the shell, with DRIVER and DEVICE.
# shellcheck disable=SC2016
REBIND='echo "$DEVICE" >"$DRIVER/unbind"
    echo "$DEVICE" >"$DRIVER/bind"
    for _ in $(seq 200); do [ -b /dev/nvme0n1 ] && exit 0; sleep 0.1; done
    exit 1'

# What that line needs to know, kept for who judges as well.
name_device() {
    local device
    device=$(disk_controller)
    echo "$device" >"$DIR/device"
    export DRIVER
    export DEVICE="${device##*/}"
}

# A driver that lets its device go and takes it again gives back the coherent memory of its queues, and asks for it.
rebind() {
    begin pool-coherent || return 0
    name_device
    run rmapscope record -a -e swiotlb -o "$DIR/trace.data" -- sh -c "$REBIND"
}

# A driver that wants as many queues as there may be, each as long as its device takes: the pool has not enough for them.
coherent_full() {
    begin pool-coherent-full || return 0
    local parameters=/sys/module/nvme/parameters
    name_device
    echo 2048 >$parameters/io_queue_depth
    echo 2 >$parameters/write_queues
    echo 2 >$parameters/poll_queues
    run rmapscope check -a -m 32M --record "$DIR/trace.data" --json "$DIR/verdict.json" -- sh -c "$REBIND"
    echo 1024 >$parameters/io_queue_depth
    echo 0 >$parameters/write_queues
    echo 0 >$parameters/poll_queues
    sh -c "$REBIND"
}

# planted BUG LINE: a check of a line for the shell while the kernel has that bug (docs/mutants.md).
planted() {
    echo "$1" >/sys/module/rmapscope/parameters/mutant || return
    check "$1" sh -c "$2"
    echo none >/sys/module/rmapscope/parameters/mutant
}

mount -t debugfs none /sys/kernel/debug 2>/dev/null
mount -t tracefs none /sys/kernel/tracing 2>/dev/null
uname -r >"$OUT/release"
rmapscope-workload pageout --pages 1 >"$OUT/swap" 2>&1
IO="rmapscope-workload --facts \"\$FACTS\" swiotlb-io --device $DISK --blocks 40"

begin arm64-probes && run rmapscope probes --json
begin arm64-doctor && run rmapscope doctor
work arm64-pageout rmap pageout --pages 64
work arm64-mlock mlock mlock --pages 64
work arm64-fork fork fork --vmas 5 --pages 8 --children 3
work arm64-migrate migrate,rmap migrate --pages 64
work arm64-exclusive exclusive,fork exclusive --pages 64 --fork
check arm64-rules sh -c 'rmapscope-workload --facts "$FACTS" exclusive --pages 64 --fork && rmapscope-workload migrate --pages 64'
METHOD=kprobe
work arm64-kprobe-pageout rmap pageout --pages 64
work arm64-kprobe-migrate migrate,rmap migrate --pages 64
if [ "$RUN" = stock-arm64 ]; then
    METHOD=auto
    work hmm-migrate migrate,hmm hmm-migrate --pages 64
    check arm64-bounces sh -c "$IO --write"
    echo done >"$OUT/finished"
    exit
fi
check pool-io sh -c "$IO --write"
rebind
# 8 requests of 2 MiB at once, 16 times what the pool has, in mappings of 64 KiB. These are smaller than a segment of the
# pool by far, so that one finds room when another ends, wherever coherent memory lies: a driver that finds none tries
# again for ever.
FULL="rmapscope-workload --facts \"\$FACTS\" swiotlb-io --device $DISK --size 2097152 --blocks 2 --parallel 8"
LARGEST="/sys/block/${DISK##*/}/queue/max_sectors_kb"
largest=$(cat "$LARGEST")
echo 64 >"$LARGEST"
check pool-full sh -c "$FULL"
echo "$largest" >"$LARGEST"
coherent_full
planted swiotlb-leaks-slot "$IO"
planted swiotlb-outside-pool "$IO"
planted swiotlb-bypassed "$IO"
echo done >"$OUT/finished"
