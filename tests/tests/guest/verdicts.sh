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
    begin "$1"
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
    begin "$1"
    shift
    run rmapscope check --json "$DIR/verdict.json" "$@"
}

# Each selftest of the file OUT/selftests.
selftests() {
    # Both sizes of pages that the tests of huge pages want, on each node.
    echo 64 >/proc/sys/vm/nr_hugepages
    echo 1 >/sys/kernel/mm/ksm/run
    local name method command
    while IFS=$'\t' read -r -u 3 name method command; do
        check "$name" --attach "$method" -- env PATH="$SELFTESTS:$PATH" sh -c "cd /tmp && { $command; }"
    done 3<"$OUT/selftests"
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
    LIMIT=$((STRESS + 240)) check stress -m 128M -- "${work[@]}"
    work[3]=$(((STRESS + 3) / 4))
    LIMIT=$((STRESS + 240)) check kprobe-stress -m 128M --attach kprobe -- "${work[@]}"
}

# What was not seen must not pass.
silence() {
    udevadm settle 2>/dev/null
    check empty -- sleep 0.1
    code empty-required --require all -- sleep 0.1
    code required-too-often --rules rmap-caller-locked --require rmap-caller-locked=100000 -- \
        rmapscope-workload pageout --pages 64
    check loss -m 4K -- rmapscope-workload --facts "$FACTS" pageout --pages 4096 --rounds 3
    # The kernel as it is, but for one symbol.
    grep -v ' try_to_migrate$' /proc/kallsyms >/tmp/kallsyms
    check hidden --kallsyms /tmp/kallsyms -- rmapscope-workload pageout --pages 64
}

# Probes that are attached and cannot fire.
switches() {
    local name ftrace=/proc/sys/kernel/ftrace_enabled kprobes=/sys/kernel/debug/kprobes/enabled
    mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug
    if ! echo 0 >$ftrace; then
        for name in ftrace-off ftrace-off-meanwhile ftrace-off-for-a-moment; do
            begin $name
            echo 'the kernel lets nobody turn ftrace off' >"$DIR/skipped"
        done
    else
        check ftrace-off -- rmapscope-workload pageout --pages 64
        echo 1 >$ftrace
        check ftrace-off-meanwhile -- sh -c "echo 0 >$ftrace; sleep 1; echo 1 >$ftrace; sleep 0.3"
        check ftrace-off-for-a-moment -- sh -c "echo 0 >$ftrace; echo 1 >$ftrace"
    fi
    echo 0 >$kprobes
    check kprobes-off --attach kprobe -- rmapscope-workload pageout --pages 64
    echo 1 >$kprobes
    check kprobes-off-meanwhile --attach kprobe -- sh -c "echo 0 >$kprobes; sleep 1; echo 1 >$kprobes; sleep 0.3"
}

# Numbers for whoever reads them.
codes() {
    local reclaim=(--rules rmap-caller-locked)
    local lossy=(-m 4K "${reclaim[@]}")
    local work=(rmapscope-workload pageout --pages 4096 --rounds 3)
    local few=(rmapscope-workload pageout --pages 64)
    local missing=(--kallsyms /tmp/kallsyms "${reclaim[@]}")
    local nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all)

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
    local name
    for name in no-privilege bisect-no-privilege kselftest-no-privilege; do
        begin "$name"
        case $name in
        no-*) run "${nobody[@]}" rmapscope check -- true ;;
        *) run "${nobody[@]}" rmapscope check --exit "${name%%-*}" -- true ;;
        esac
    done

    begin interrupted
    reports
    background rmapscope check --record "$DIR/trace.data" "${REPORTS[@]}"
    "${few[@]}" >"$DIR/facts"
    sleep 1
    end_background INT
}

# diagnosis NAME ARGUMENT…: a check, with stacks, of the workload that leads to a diagnosis.
diagnosis() {
    local name=$1
    shift
    check "$name" -g -- sh -c 'exec rmapscope-workload --facts "$FACTS" "$@"' sh "$@"
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
    begin live-report
    run rmapscope report -q -j -l -g -e try_to_unmap --html "$DIR/report.html" --flame "$DIR/flame.svg" -- \
        rmapscope-workload --facts "$FACTS" pageout --pages 64 --rounds 2
    begin report-no-command
    run rmapscope report --html "$DIR/report.html" -- /no/such/command
}

# Diagnoses of a guest with a small pool of bounce buffers, and memory that can go offline.
diagnoses_of_little_room() {
    diagnosis swiotlb-full swiotlb-io --size 262144 --blocks 64 --parallel 8
    readlink -f /sys/block/nvme0n1/device/device >"$DIR/device"
    diagnosis exclusive-blocks-migration exclusive-obstacle --offline 2
}

# Each planted bug, under the command that provokes it.
mutants() {
    local chosen=/sys/module/rmapscope/parameters/mutant name method mutant command
    begin chosen-at-boot
    cat "$chosen" >"$DIR/mutant"
    while IFS=$'\t' read -r name method mutant command; do
        udevadm settle 2>/dev/null
        echo "$mutant" >"$chosen"
        check "$name" --attach "$method" -- \
            sh -c "${command//rmapscope-workload /rmapscope-workload --facts \"\$FACTS\" }"
        echo none >"$chosen"
        readlink -f /sys/block/nvme0n1/device/device >"$DIR/device"
    done <"$OUT/mutants"

    # What a violation makes of the exit code.
    echo unmap-unlocked >"$chosen"
    local few=(rmapscope-workload pageout --pages 64)
    code violated-bisect --exit bisect -- "${few[@]}"
    code violated-kselftest --exit kselftest -- "${few[@]}"
    code violated-other-rule --not-rule rmap-caller-locked -- "${few[@]}"
    code violated-loss -m 4K -- rmapscope-workload pageout --pages 4096
    local begin=$SECONDS
    code violated-fail-fast --fail-fast -- sh -c 'rmapscope-workload pageout --pages 64; sleep 60'
    echo $((SECONDS - begin)) >"$DIR/seconds"
    echo none >"$chosen"
}

prepare
case $RUN in
healthy)
    silence
    switches
    # These do not depend on the kernel, and are judged on one.
    case $(uname -r) in 6.12*) [ -e /dev/hmm_dmirror0 ] && codes ;; esac
    diagnoses
    reporting
    huge
    selftests
    stress
    ;;
little-room) diagnoses_of_little_room ;;
mutants) mutants ;;
esac
echo done >"$OUT/finished"
