#!/bin/bash
# Runs in a guest: every check that the guest tests judge afterwards on the host.
#
#   verdicts.sh PROGRAMS OUT RUN SELFTESTS SECONDS
#
# PROGRAMS   folder of rmapscope and rmapscope-workload
# OUT        writable folder; each session gets one in it (common.sh), with trace.data and verdict.FORM
# RUN        `healthy`: a kernel that must not be accused, among else under the selftests of the file OUT/selftests;
#            each line is the session's name, the attach method and the command, with tabs between;
#            `little-room`: the same with a small pool of bounce buffers and memory that can go offline;
#            `mutants`: the planted bugs of the file OUT/mutants; each line is the session's name, the attach
#            method, the bug's name and the command that provokes it, with tabs between
# SELFTESTS  folder of the selftests for the kernel
# SECONDS    how long the stress takes
set -u
export PATH="$1:$PATH"
OUT=$2
RUN=$3
SELFTESTS=$4
STRESS=$5
. "$(dirname "$0")/common.sh"

# check NAME [OPTION…] -- COMMAND…: a check of a command that is recorded, with its verdict in every form.
check() {
    begin "$1" || return 0
    shift
    reports
    run rmapscope check --record "$DIR/trace.data" "${REPORTS[@]}" "$@"
}

# The options for every form of the verdict.
reports() {
    REPORTS=(--kcidb-origin rmapscope --kcidb-build rmapscope:guest)
    local form
    for form in text ktap junit json kcidb; do
        REPORTS+=("--$form" "$DIR/verdict.$form")
    done
}

# code NAME OPTION…: a check whose exit code and JSON verdict are of interest, nothing else.
code() {
    begin "$1" || return 0
    shift
    run rmapscope check --json "$DIR/verdict.json" "$@"
}

# Each selftest of the file OUT/selftests, which may be empty.
selftests() {
    [ -s "$OUT/selftests" ] || return
    # Both sizes of pages that the tests of huge pages want, on each node.
    echo 64 >/proc/sys/vm/nr_hugepages
    echo 1 >/sys/kernel/mm/ksm/run
    local name method command
    while IFS=$'\t' read -r -u 3 name method command; do
        check "$name" --attach "$method" -- env PATH="$SELFTESTS:$PATH" sh -c "cd /tmp && { $command; }"
    done 3<"$OUT/selftests"
    echo 0 >/proc/sys/vm/nr_hugepages
}

# What bpftrace counts of a selftest of device memory while it is recorded.
beside_bpftrace() {
    [ -e /dev/hmm_dmirror0 ] || return
    begin beside-bpftrace || return 0
    echo 64 >/proc/sys/vm/nr_hugepages
    run rmapscope record -o "$DIR/trace.data" -e hmm,exclusive,exclusive_vma,migrate_vma_setup -- \
        bash "$(dirname "$0")/device_memory_peer.sh" "$SELFTESTS/hmm-tests" -T benchmark_thp_migration
    echo 0 >/proc/sys/vm/nr_hugepages
}

huge() {
    check huge -- bash -c 'huge_pages "$@"' bash "${HUGE_PAGES[@]}"
    [ -e /dev/hmm_dmirror0 ] || return
    check huge-device -- bash -c 'huge_pages "$@"' bash "${HUGE_DEVICE_PAGES[@]}"
}

stress() {
    local work=(rmapscope-workload stress --seconds "$STRESS")
    [ -e "$DISK" ] && work+=(--device "$DISK")
    local LIMIT=$((STRESS + 240))
    check stress -m 128M -- "${work[@]}"
    work[3]=$(((STRESS + 3) / 4))
    check kprobe-stress -m 128M --attach kprobe -- "${work[@]}"
}

# A check and a count that begin and end while the system is busy: much began before their probes were attached.
under_way() {
    wanted under-way || wanted under-way-stat || return 0
    again_and_again rmapscope-workload swiotlb-io --device "$DISK" --blocks 400 --parallel 2
    local io=$!
    # Who moves pages of a busy system may find some of them busy.
    again_and_again sh -c 'rmapscope-workload pageout --pages 256 && { rmapscope-workload migrate --pages 256 || :; }'
    local pages=$!
    sleep 1
    check under-way -a -m 128M -- sleep 1
    still_busy
    plain under-way-stat rmapscope stat -a -j -e rmap,swiotlb --by event --of latency -- sleep 1
    still_busy
    kill -- -$io -$pages
    wait $io $pages
}

# again_and_again COMMAND…: in the background until it fails, in a process group of its own. Attaching takes long where the
# system is emulated and busy, so everybody else comes first.
again_and_again() {
    # shellcheck disable=SC2016
    setsid nice -n 19 bash -c 'while "$@"; do :; done' bash "$@" 2>>"$OUT/again" >/dev/null &
}

# Notes in the last session that the work went on until its end.
still_busy() {
    [ "$(jobs -rp | wc -l)" -lt 2 ] || touch "${DIR:-$OUT}/busy-until-then"
}

# What was not seen must not pass.
silence() {
    udevadm settle 2>/dev/null
    check empty -- sleep 0.1
    code empty-required --require all -- sleep 0.1
    code required-too-often --rules rmap-caller-locked --require rmap-caller-locked=100000 -- \
        rmapscope-workload pageout --pages 64
    check loss -m 4K -- rmapscope-workload --facts "$FACTS" pageout --pages 4096 --rounds 3
    check hidden --kallsyms /tmp/kallsyms -- rmapscope-workload pageout --pages 64
}

# Probes that are attached and cannot fire.
switches() {
    local ftrace=/proc/sys/kernel/ftrace_enabled kprobes=/sys/kernel/debug/kprobes/enabled
    mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug
    while_off ftrace-off $ftrace -- rmapscope-workload pageout --pages 64
    turned_off ftrace-off-meanwhile $ftrace -- sh -c "echo 0 >$ftrace; sleep 1; echo 1 >$ftrace; sleep 0.3"
    turned_off ftrace-off-for-a-moment $ftrace -- sh -c "echo 0 >$ftrace; echo 1 >$ftrace"
    while_off kprobes-off $kprobes --attach kprobe -- rmapscope-workload pageout --pages 64
    turned_off kprobes-off-meanwhile $kprobes --attach kprobe -- \
        sh -c "echo 0 >$kprobes; sleep 1; echo 1 >$kprobes; sleep 0.3"
}

# while_off NAME SWITCH [OPTION…] -- COMMAND…: a check while the switch is off.
while_off() {
    wanted "$1" || return 0
    can_be_off "$1" "$2" || return 0
    echo 0 >"$2"
    check "$1" "${@:3}"
    echo 1 >"$2"
}

# turned_off NAME SWITCH [OPTION…] -- COMMAND…: a check of a command that turns the switch off and on again.
turned_off() {
    wanted "$1" || return 0
    can_be_off "$1" "$2" || return 0
    check "$1" "${@:3}"
}

# can_be_off NAME SWITCH: whether the kernel lets anybody turn the switch off; says so in the session if not.
can_be_off() {
    if echo 0 >"$2"; then
        echo 1 >"$2"
        return
    fi
    begin "$1" && echo "the kernel lets nobody turn $2 off" >"$DIR/skipped"
    return 1
}

# Numbers for whoever reads them.
codes() {
    local reclaim=(--rules rmap-caller-locked)
    local lossy=(-m 4K "${reclaim[@]}")
    local work=(rmapscope-workload pageout --pages 4096 --rounds 3)
    local few=(rmapscope-workload pageout --pages 64)
    local missing=(--kallsyms /tmp/kallsyms "${reclaim[@]}")

    code bisect-pass --exit bisect "${reclaim[@]}" -- "${few[@]}"
    code bisect-loss --exit bisect "${lossy[@]}" -- "${work[@]}"
    code bisect-no-command --exit bisect -- /no/such/command
    code bisect-usage --exit bisect --rulse x -- true
    code kselftest-pass --exit kselftest "${reclaim[@]}" -- "${few[@]}"
    code kselftest-loss --exit kselftest "${lossy[@]}" -- "${work[@]}"
    code kselftest-loss-skip --exit kselftest --inconclusive skip "${lossy[@]}" -- "${work[@]}"
    code loss-warn --on-loss warn "${lossy[@]}" -- "${work[@]}"
    code loss-ignore --on-loss ignore "${lossy[@]}" -- "${work[@]}"
    code missing-warn --on-missing warn "${missing[@]}" -- "${few[@]}"
    code missing-ignore --on-missing ignore "${missing[@]}" -- "${few[@]}"
    code no-command -- /no/such/command
    code command-fails "${reclaim[@]}" -- sh -c 'exit 7'
    code command-must-succeed --command-must-succeed "${reclaim[@]}" -- sh -c 'exit 7'
    code usage --rulse x -- true
    plain no-privilege "${NOBODY[@]}" rmapscope check -- true
    plain bisect-no-privilege "${NOBODY[@]}" rmapscope check --exit bisect -- true
    plain kselftest-no-privilege "${NOBODY[@]}" rmapscope check --exit kselftest -- true
    interrupted
}

interrupted() {
    begin interrupted || return 0
    reports
    background rmapscope check --record "$DIR/trace.data" "${REPORTS[@]}"
    rmapscope-workload pageout --pages 64 >"$DIR/facts"
    sleep 1
    end_background INT
}

# diagnosis NAME ARGUMENT…: a check, with stacks, of the workload that leads to a diagnosis.
diagnosis() {
    check "$1" -g -- sh -c 'exec rmapscope-workload --facts "$FACTS" "$@"' sh "${@:2}"
}

# Trouble that is no fault of the kernel: the workloads of docs/mutants.md.
diagnoses() {
    diagnosis long-rmap-walk wide-mapping
    [ -e /dev/hmm_dmirror0 ] || return
    diagnosis exclusive-ping-pong exclusive --pages 4 --fault --rounds-before 30
    diagnosis exclusive-blocks-migration exclusive-obstacle
}

# Sessions that are summed up as they come.
reporting() {
    live_report
    report_no_command
}

live_report() {
    begin live-report || return 0
    run rmapscope report -q -j -l -g -e try_to_unmap --html "$DIR/report.html" --flame "$DIR/flame.svg" -- \
        rmapscope-workload --facts "$FACTS" pageout --pages 64 --rounds 2
}

report_no_command() {
    begin report-no-command || return 0
    run rmapscope report --html "$DIR/report.html" -- /no/such/command
}

# Diagnoses of a guest with a small pool of bounce buffers, and memory that can go offline.
diagnoses_of_little_room() {
    diagnosis swiotlb-full swiotlb-io --size 262144 --blocks 64 --parallel 8
    ! wanted swiotlb-full || readlink -f /sys/block/nvme0n1/device/device >"$OUT/swiotlb-full/device"
    diagnosis exclusive-blocks-migration exclusive-obstacle --offline 2
}

fail_fast() {
    wanted violated-fail-fast || return 0
    local begin=$SECONDS
    code violated-fail-fast --fail-fast -- sh -c 'rmapscope-workload pageout --pages 64; sleep 60'
    echo $((SECONDS - begin)) >"$DIR/seconds"
}

# Each planted bug, under the command that provokes it.
mutants() {
    local chosen=/sys/module/rmapscope/parameters/mutant name method mutant command
    ! begin chosen-at-boot || cat "$chosen" >"$DIR/mutant"
    while IFS=$'\t' read -r name method mutant command; do
        udevadm settle 2>/dev/null
        echo "$mutant" >"$chosen"
        check "$name" --attach "$method" -- \
            sh -c "${command//rmapscope-workload /rmapscope-workload --facts \"\$FACTS\" }"
        echo none >"$chosen"
        disk_controller >"$DIR/device"
    done <"$OUT/mutants"

    # What a violation makes of the exit code.
    echo unmap-unlocked >"$chosen"
    local few=(rmapscope-workload pageout --pages 64)
    code violated-bisect --exit bisect -- "${few[@]}"
    code violated-kselftest --exit kselftest -- "${few[@]}"
    code violated-other-rule --not-rule rmap-caller-locked -- "${few[@]}"
    code violated-loss -m 4K -- rmapscope-workload pageout --pages 4096
    fail_fast
    echo none >"$chosen"
}

prepare
case $RUN in
healthy)
    # The kernel as it is, but for one symbol.
    grep -v ' try_to_migrate$' /proc/kallsyms >/tmp/kallsyms
    silence
    switches
    # These do not depend on the kernel, and are judged on one.
    case $(uname -r) in 6.12*) [ -e /dev/hmm_dmirror0 ] && codes ;; esac
    diagnoses
    reporting
    huge
    selftests
    beside_bpftrace
    under_way
    stress
    ;;
little-room) diagnoses_of_little_room ;;
mutants) mutants ;;
esac
echo done >"$OUT/finished"
