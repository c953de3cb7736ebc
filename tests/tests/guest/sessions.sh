#!/bin/bash
# Runs in a guest: every recording that the guest tests judge afterwards on the host.
#
#   sessions.sh PROGRAMS OUT METHOD
#
# PROGRAMS  folder of rmapscope and rmapscope-workload
# OUT       writable folder; each session gets one in it with what it left behind:
#           status, stdout, stderr, facts, trace.data, and what the session itself adds
# METHOD    auto or kprobe, for `record --attach`; `lockdown` for the few sessions of a locked-down kernel; `many-cpus`
#           for those that want eight
set -u
export PATH="$1:$PATH"
OUT=$2
METHOD=$3
ATTACH=auto
[ "$METHOD" = kprobe ] && ATTACH=kprobe
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/audits.sh"
. "$(dirname "$0")/clients.sh"
. "$(dirname "$0")/screens.sh"

# record NAME [OPTION…] -- COMMAND…: a recording of a command.
record() {
    begin "$1" || return 0
    shift
    run rmapscope record --attach "$ATTACH" -o "$DIR/trace.data" "$@"
}

# record_work NAME [OPTION…] -- ARGUMENT…: a recording of the workload, which states its facts.
record_work() {
    begin "$1" || return 0
    shift
    local options=()
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    run rmapscope record --attach "$ATTACH" -o "$DIR/trace.data" "${options[@]}" -- \
        rmapscope-workload --facts "$FACTS" "$@"
}

# record_background [OPTION…]: starts a recording in the background and waits until its probes are attached.
record_background() {
    background rmapscope record --attach "$ATTACH" -o "$DIR/trace.data" "$@"
}

exact_counts() {
    record_work pageout -e rmap -- pageout --pages 200 --rounds 2
    record_work detail -e rmap --per-vma --latency -g -- pageout --pages 64
    record_work migrate -e migrate,rmap -- migrate --pages 96
    record_work mlock -e mlock -- mlock --pages 150
    record_work fork -e fork -- fork --vmas 5 --pages 8 --children 3
    record_work children -e mlock -- children --depth 4 --pages 10
}

# count_by NAME KEY: the same counted in the kernel, by what is known of each event.
count_by() {
    begin "$1" || return 0
    run rmapscope stat --attach "$ATTACH" -j -e rmap --by "$2" --of latency -- \
        rmapscope-workload --facts "$FACTS" pageout --pages 200 --rounds 2
}

counts() {
    count_by stat-event event
    count_by stat-process process
    count_by stat-name name
    count_by stat-cpu cpu
    count_by stat-stack stack
    count_by stat-flags flags
    count_by stat-ttu-flags ttu_flags
    begin stat-entry || return 0
    run rmapscope stat --attach "$ATTACH" -j -e rmap --by process -I 100ms --overhead -- \
        rmapscope-workload --facts "$FACTS" pageout --pages 200 --rounds 2
}

huge() {
    record_work shared-lock -e mlock --per-vma -- shared-lock --pages 40
    record huge -e rmap,migrate,mlock,fork,exclusive --per-vma -- bash -c 'huge_pages "$@"' bash "${HUGE_PAGES[@]}"
    [ -e /dev/hmm_dmirror0 ] || return
    record huge-device -e rmap,migrate,fork,exclusive,hmm --per-vma -- \
        bash -c 'huge_pages "$@"' bash "${HUGE_DEVICE_PAGES[@]}"
}

exclusive() {
    [ -e /dev/hmm_dmirror0 ] || return
    record_work exclusive-fault -e exclusive --per-vma -- exclusive --pages 130 --fault
    record_work exclusive-fork -e exclusive,fork -- exclusive --pages 130 --fork
    record_work exclusive-munmap -e exclusive -- exclusive --pages 64 --munmap
    record_work exclusive-mlock -e exclusive,mlock -- exclusive --pages 64 --fault --mlock
    record_work exclusive-move -e exclusive -- exclusive --pages 64 --fault --mremap --mprotect
    record_work hmm-migrate -e migrate,hmm -- hmm-migrate --pages 64
    hmm_again
    record_work hmm-close -e hmm --latency -- hmm-migrate --pages 130 --close
    wanted hmm-close && rmapscope report --json -i "$DIR/trace.data" >"$DIR/report"
    hmm_refused
}

# Pages that do not go to the device: what the report says of them, and the history of the first.
hmm_refused() {
    wanted hmm-refused || return 0
    record_work hmm-refused -e migrate,hmm -- hmm-refused --pages 8
    rmapscope report --json -i "$DIR/trace.data" >"$DIR/report"
    local first
    first=$(rmapscope script --json -e migrate_vma_refused -i "$DIR/trace.data" |
        sed -n 's/.*"pid":\([0-9]*\),.*"address":"\(0x[0-9a-f]*\)".*/\1:\2/p' | head -n 1)
    rmapscope report --json --addr "$first" -i "$DIR/trace.data" >"$DIR/history"
}

# Pages that go to the device three times: what the report says of them, and the history of the first.
hmm_again() {
    wanted hmm-again || return 0
    record_work hmm-again -e migrate,hmm -g -- hmm-migrate --pages 130 --rounds 3
    rmapscope report --json -i "$DIR/trace.data" >"$DIR/report"
    local first
    first=$(sed -n 's/.*"pid":\([0-9]*\),"pages":\[{"address":\([0-9]*\),.*/\1:\2/p' "$FACTS")
    rmapscope report --json --addr "$first" -i "$DIR/trace.data" >"$DIR/history"
}

# The tracepoint counts the same mappings independently of rmapscope, in a trace instance of its own.
swiotlb() {
    [ -e "$DISK" ] || return
    begin swiotlb || return 0
    local instance=/sys/kernel/tracing/instances/swiotlb
    udevadm settle 2>/dev/null
    record_background -e swiotlb --latency
    mkdir -p "$instance"
    echo 16384 >"$instance/buffer_size_kb"
    echo 1 >"$instance/events/swiotlb/swiotlb_bounced/enable"
    rmapscope-workload --facts "$FACTS" swiotlb-io --device "$DISK" --blocks 40 --write >"$DIR/workload" 2>&1
    rmapscope-workload --facts "$FACTS" swiotlb-io --device "$DISK" --blocks 10 --size 65536 >>"$DIR/workload" 2>&1
    udevadm settle 2>/dev/null
    echo 0 >"$instance/events/swiotlb/swiotlb_bounced/enable"
    end_background INT
    cat "$instance/trace" >"$DIR/tracepoint"
    rmdir "$instance"
    disk_controller >"$DIR/device"
}

# Disabled events at the same functions: the kernel counts in them, too, what it skips of kprobes there.
swiotlb_skipped() {
    [ -e "$DISK" ] || return
    begin swiotlb-skipped || return 0
    local tracing=/sys/kernel/tracing function
    for function in swiotlb_map swiotlb_tbl_map_single swiotlb_tbl_unmap_single __swiotlb_tbl_unmap_single \
        swiotlb_sync_single_for_cpu __swiotlb_sync_single_for_cpu swiotlb_sync_single_for_device \
        __swiotlb_sync_single_for_device; do
        echo "p:skipped/$function $function" 2>/dev/null >>$tracing/kprobe_events
    done
    ATTACH=kprobe record_background -e swiotlb --latency
    rmapscope-workload swiotlb-io --device "$DISK" --blocks 300 --write >"$DIR/workload" 2>&1
    rmapscope-workload swiotlb-io --device "$DISK" --blocks 100 --size 65536 >>"$DIR/workload" 2>&1
    udevadm settle 2>/dev/null
    end_background INT
    cat $tracing/kprobe_profile >"$DIR/profile"
    for function in $(sed -n 's/^ *\([^ ]*\) .*/\1/p' "$DIR/profile"); do
        echo "-:skipped/$function" >>$tracing/kprobe_events
    done
}

filters() {
    ln -sf "$(command -v rmapscope-workload)" /tmp/other-name

    record filter-comm -e mlock -n 'other-*' -- sh -c \
        'rmapscope-workload --facts "$FACTS" mlock --pages 20; /tmp/other-name --facts "$FACTS" mlock --pages 30'
    record_work filter-event -e mlock_folio -- mlock --pages 20
    record_work filter-slow -e rmap --min-latency 10s -- pageout --pages 64
    record_work filter-fast -e rmap --min-latency 1ns -- pageout --pages 64
    record_work no-inherit -e mlock --no-inherit -- children --depth 2 --pages 10

    filter_pid
    filter_cgroup
}

filter_pid() {
    begin filter-pid || return 0
    rmapscope-workload --facts "$FACTS" sleep-loop --pages 25 >"$DIR/ready" &
    local target=$!
    while ! grep -q ready "$DIR/ready"; do sleep 0.1; done
    record_background -e mlock -p "$target"
    rmapscope-workload mlock --pages 40 >/dev/null
    rmapscope-workload --facts "$FACTS" --label noise mlock --pages 40
    kill -USR1 "$target"
    sleep 0.5
    kill -TERM "$target"
    wait "$target"
    end_background INT
}

# Whether a control group of that name can be made, in a hierarchy that is mounted when it is needed.
cgroup() {
    mkdir -p /tmp/cgroup
    mountpoint -q /tmp/cgroup || mount -t cgroup2 none /tmp/cgroup
    mkdir -p "/tmp/cgroup/$1" && [ -e "/tmp/cgroup/$1/cgroup.procs" ] && return
    echo 'cgroup2 cannot be mounted' >"$DIR/skipped"
    return 1
}

filter_cgroup() {
    begin filter-cgroup || return 0
    cgroup inside || return
    record_background -e mlock -G /tmp/cgroup/inside
    sh -c 'echo $$ >/tmp/cgroup/inside/cgroup.procs; exec rmapscope-workload --facts "$FACTS" mlock --pages 35'
    rmapscope-workload --facts "$FACTS" --label noise mlock --pages 40
    end_background INT
}

# Who is watched stays watched, whatever its tasks do; and nobody else is, also when ids are used again.
tasks() {
    record_work tasks-ring -e rmap -- ring --pages 64
    story tasks-churn
    story tasks-crowd
    story tasks-exec-by-thread
    story tasks-leader-exits
    story tasks-daemon
    tasks_reuse
}

# story NAME: a recording of one of the workload's stories.
story() {
    record_work "$1" -e mlock -- tasks "${1#tasks-}" --threads 400
}

tasks_reuse() {
    begin tasks-reuse || return 0
    # Whoever waits for this starts no tasks, which would take the ids.
    mkfifo /tmp/strangers-ran
    rmapscope record --attach "$ATTACH" -o "$DIR/trace.data" -e mlock -- sh -c '
        for child in 1 2 3 4 5 6 7 8; do (:) & echo $! >>"$0/ids"; wait; done
        touch "$0/ours"
        read -r _ </tmp/strangers-ran
        exec rmapscope-workload --facts "$FACTS" mlock --pages 20' "$DIR" >"$DIR/stdout" 2>"$DIR/stderr" &
    local recording=$!
    for _ in $(seq 300); do [ -e "$DIR/ours" ] && break; sleep 0.1; done
    local id
    while read -r id; do
        # The next task gets the next free id (6.12 kernel/pid_namespace.c, pid_ns_ctl_handler); somebody else
        # may be faster.
        for _ in $(seq 20); do
            echo $((id - 1)) >/proc/sys/kernel/ns_last_pid
            rmapscope-workload --facts "$FACTS" --label noise mlock --pages 3 >>"$DIR/stranger" 2>&1 &
            wait $!
            [ $! = "$id" ] && echo "$id" >>"$DIR/reused" && break
        done
    done <"$DIR/ids"
    timeout 30 sh -c 'echo >/tmp/strangers-ran'
    wait "$recording"
    echo $? >"$DIR/status"
}

# In namespaces of its own the program finds whom it is to watch, or says why it cannot.
namespaces() {
    local record="rmapscope record --attach $ATTACH -o trace.data -e mlock"
    local work='rmapscope-workload --facts "$FACTS" mlock --pages 20'

    in_namespace namespace-pid unshare -p -f --mount-proc sh -c "$record -- $work"
    in_namespace namespace-pid-other-proc unshare -p -f sh -c "$record -- $work"
    namespace_time
    in_namespace namespace-user unshare -U -r sh -c "$record -- $work"
    in_namespace namespace-no-sys unshare -m sh -c "mount -t tmpfs none /sys; $record -- $work"
    in_namespace namespace-no-proc unshare -m sh -c "mount -t tmpfs none /proc; $record -- $work"
    namespace_cgroup
}

# in_namespace NAME COMMAND…: a session that is one command, in its own folder.
in_namespace() {
    begin "$1" || return 0
    shift
    cd "$DIR" || return
    run "$@"
    cd / || return
}

# These two use the variables of `namespaces`.
namespace_time() {
    wanted namespace-time || return 0
    local before
    before=$(cut -d. -f1 /proc/uptime)
    in_namespace namespace-time unshare -T -f --monotonic 1000000 sh -c "$record -- $work"
    echo "$before" >"$DIR/before"
    cut -d. -f1 /proc/uptime >"$DIR/after"
}

namespace_cgroup() {
    begin namespace-cgroup || return 0
    cgroup outer/inner || return
    mkdir -p /tmp/inside
    export RECORD="$record"
    cat >"$DIR/inside.sh" <<'END'
mount -t cgroup2 none /tmp/inside
exec $RECORD -G /tmp/inside/inner -- sh -c '
    rmapscope-workload --facts "$FACTS" --label noise mlock --pages 7
    echo $$ >/tmp/inside/inner/cgroup.procs
    exec rmapscope-workload --facts "$FACTS" mlock --pages 20'
END
    in_namespace namespace-cgroup sh -c 'echo $$ >/tmp/cgroup/outer/cgroup.procs; exec unshare -C -m sh "$0"' \
        "$DIR/inside.sh"
}

loss() {
    record_work loss -m 4K -e rmap -- pageout --pages 4096 --rounds 3
}

# Eight CPUs that emit at once, first with a reader, then with one that stands still meanwhile. Each process stays on its
# CPU, and has a file of facts: the guest's file system tears lines that come at once. One round: in a second one the
# pages that readahead brought in for a neighbour may wait in the batch of another CPU, and are not paged out then.
at_once() {
    local everywhere='for cpu in 0 1 2 3 4 5 6 7; do
        taskset -c $cpu rmapscope-workload --facts "$FACTS.$cpu" pageout --pages 2048 &
    done
    wait
    cat "$FACTS".* >>"$FACTS"'
    record reclaim-at-once -e rmap -- sh -c "$everywhere"
    record reclaim-at-once-loss -m 16K -e rmap -- sh -c "kill -STOP \$PPID; $everywhere; kill -CONT \$PPID"
}

# A reader that stands still for seconds while there is no room left, and then goes on.
stopped_reader() {
    record stopped-reader -m 16K -e rmap -- sh -c '
        work="taskset -c 0 rmapscope-workload --facts $FACTS pageout --pages 2048"
        $work
        kill -STOP $PPID
        $work --rounds 3
        sleep 3
        kill -CONT $PPID
        sleep 1
        $work'
}

endings() {
    record status-0 -e mlock -- true
    record status-7 -e mlock -- sh -c 'exit 7'
    record status-kill -e mlock -- sh -c 'kill -KILL $$'
    record status-not-found -e mlock -- /no/such/command
    by_signal signal-INT
    by_signal signal-TERM
    by_signal signal-KILL
    record duration -e mlock -d 1s
    nohup_session
    hangup
    few_files_for_now
}

# by_signal signal-NAME: a recording that ends by that signal.
by_signal() {
    begin "$1" || return 0
    record_background -e mlock
    rmapscope-workload --facts "$FACTS" mlock --pages 60
    # The recording is written at least once a second.
    sleep 2.5
    end_background "${1#signal-}"
}

# As nohup starts it: neither the session nor its command ends by SIGHUP. (timeout would give the signal back.)
nohup_session() {
    begin nohup || return 0
    (
        trap '' HUP
        exec rmapscope record --attach "$ATTACH" -o "$DIR/trace.data" -e mlock -- \
            sh -c 'kill -HUP $PPID; kill -HUP $$; sleep 1; exec rmapscope-workload --facts "$FACTS" mlock --pages 20'
    ) >"$DIR/stdout" 2>"$DIR/stderr"
    echo $? >"$DIR/status"
}

hangup() {
    begin hangup || return 0
    record_background -e mlock
    end_background HUP
}

# The limit is raised as far as it may be; the command keeps its own.
few_files_for_now() {
    begin few-files-for-now || return 0
    (ulimit -S -n 24 && run rmapscope record --attach "$ATTACH" -o "$DIR/trace.data" -e mlock -- \
        sh -c 'test "$(ulimit -n)" = 24')
}

bad_input() {
    record unknown-event -e nonsense -- true
    record unknown-pid -e mlock -p 4194303 -d 1s
    record ring-too-large -m 1T -e mlock -- true

    few_files
    plain unwritable rmapscope record -e mlock -o /proc/no/such/folder/trace.data -- true
    cd /tmp || return
    plain no-privilege "${NOBODY[@]}" rmapscope record -e mlock -o /tmp/unprivileged.data -- true
    disk_full
}

few_files() {
    begin few-files || return 0
    (ulimit -n 24 && run rmapscope record -o "$DIR/trace.data" -- true)
}

disk_full() {
    begin disk-full || return 0
    mkdir -p /tmp/small
    # A quiet machine packs a round of 4096 events into 21 kB: eight are well beyond the disk.
    mount -t tmpfs -o size=64k none /tmp/small
    # Pauses longer than the second within which events are written: the first ones fit.
    run rmapscope record -e rmap --latency -o /tmp/small/trace.data -- sh -c \
        'for round in 1 2 3 4 5 6 7 8; do rmapscope-workload pageout --pages 4096 >/dev/null; sleep 1.5; done'
    cp /tmp/small/trace.data "$DIR/trace.data"
}

plans() {
    plain probes rmapscope probes --json
    plain doctor rmapscope doctor
}

prepare

if [ "$METHOD" = lockdown ]; then
    record_work lockdown -e rmap -- pageout --pages 64
    plans
    audits
elif [ "$METHOD" = many-cpus ]; then
    at_once
    stopped_reader
else
    exact_counts
    counts
    huge
    exclusive
    swiotlb
    filters
    tasks
    namespaces
    loss
    endings
    if [ "$METHOD" = auto ]; then
        bad_input
        swiotlb_skipped
        plans
        audits
        clients
        screens
    fi
fi
echo done >"$OUT/finished"
