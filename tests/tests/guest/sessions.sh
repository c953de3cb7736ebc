#!/bin/bash
# Runs in a guest: every recording that the guest tests judge afterwards on the host.
#
#   sessions.sh PROGRAMS OUT METHOD
#
# PROGRAMS  folder of rmapscope and rmapscope-workload
# OUT       writable folder; each session gets one in it with what it left behind:
#           status, stdout, stderr, facts, trace.data, and what the session itself adds
# METHOD    auto or kprobe, for `record --attach`; `lockdown` for the few sessions of a locked-down kernel
set -u
export PATH="$1:$PATH"
OUT=$2
METHOD=$3
ATTACH=auto
[ "$METHOD" = kprobe ] && ATTACH=kprobe
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/audits.sh"

# record NAME [OPTION…] -- COMMAND…: a recording of a command.
record() {
    begin "$1"
    shift
    run rmapscope record --attach "$ATTACH" -o "$DIR/trace.data" "$@"
}

# record_work NAME [OPTION…] -- ARGUMENT…: a recording of the workload, which states its facts.
record_work() {
    begin "$1"
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

# Starts a recording in the background and waits until its probes are attached.
record_background() {
    begin "$1"
    shift
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

huge() {
    record_work shared-lock -e mlock --per-vma -- shared-lock --pages 40
    record huge -e rmap,migrate,mlock,fork,exclusive --per-vma -- bash -c 'huge_pages "$@"' bash "${HUGE_PAGES[@]}"
    [ -e /dev/hmm_dmirror0 ] || return
    record huge-device -e rmap,migrate,fork,exclusive --per-vma -- \
        bash -c 'huge_pages "$@"' bash "${HUGE_DEVICE_PAGES[@]}"
}

exclusive() {
    [ -e /dev/hmm_dmirror0 ] || return
    record_work exclusive-fault -e exclusive --per-vma -- exclusive --pages 130 --fault
    record_work exclusive-fork -e exclusive,fork -- exclusive --pages 130 --fork
    record_work exclusive-munmap -e exclusive -- exclusive --pages 64 --munmap
    record_work exclusive-mlock -e exclusive,mlock -- exclusive --pages 64 --fault --mlock
    record_work exclusive-move -e exclusive -- exclusive --pages 64 --fault --mremap --mprotect
    record_work hmm-migrate -e migrate -- hmm-migrate --pages 64
}

# The tracepoint counts the same mappings independently of rmapscope, in a trace instance of its own.
swiotlb() {
    [ -e "$DISK" ] || return
    local instance=/sys/kernel/tracing/instances/swiotlb
    udevadm settle 2>/dev/null
    record_background swiotlb -e swiotlb --latency
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
    readlink -f /sys/block/nvme0n1/device/device >"$DIR/device"
}

filters() {
    ln -sf "$(command -v rmapscope-workload)" /tmp/other-name

    record filter-comm -e mlock -n 'other-*' -- sh -c \
        'rmapscope-workload --facts "$FACTS" mlock --pages 20; /tmp/other-name --facts "$FACTS" mlock --pages 30'
    record_work filter-event -e mlock_folio -- mlock --pages 20
    record_work filter-slow -e rmap --min-latency 10s -- pageout --pages 64
    record_work filter-fast -e rmap --min-latency 1ns -- pageout --pages 64
    record_work no-inherit -e mlock --no-inherit -- children --depth 2 --pages 10

    begin filter-pid
    rmapscope-workload --facts "$FACTS" sleep-loop --pages 25 >"$DIR/ready" &
    local target=$!
    while ! grep -q ready "$DIR/ready"; do sleep 0.1; done
    record_background filter-pid -e mlock -p "$target"
    rmapscope-workload mlock --pages 40 >/dev/null
    rmapscope-workload --facts "$FACTS" --label noise mlock --pages 40
    kill -USR1 "$target"
    sleep 0.5
    kill -TERM "$target"
    wait "$target"
    end_background INT

    begin filter-cgroup
    mkdir -p /tmp/cgroup
    mountpoint -q /tmp/cgroup || mount -t cgroup2 none /tmp/cgroup
    if mkdir -p /tmp/cgroup/inside && [ -e /tmp/cgroup/inside/cgroup.procs ]; then
        record_background filter-cgroup -e mlock -G /tmp/cgroup/inside
        sh -c 'echo $$ >/tmp/cgroup/inside/cgroup.procs; exec rmapscope-workload --facts "$FACTS" mlock --pages 35'
        rmapscope-workload --facts "$FACTS" --label noise mlock --pages 40
        end_background INT
    else
        echo 'cgroup2 cannot be mounted' >"$DIR/skipped"
    fi
}

# Who is watched stays watched, whatever its tasks do; and nobody else is, also when ids are used again.
tasks() {
    record_work tasks-ring -e rmap -- ring --pages 64
    local story
    for story in churn crowd exec-by-thread leader-exits daemon; do
        record_work "tasks-$story" -e mlock -- tasks "$story" --threads 400
    done

    begin tasks-reuse
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

    begin namespace-pid
    cd "$DIR" || return
    run unshare -p -f --mount-proc sh -c "$record -- $work"
    begin namespace-pid-other-proc
    cd "$DIR" || return
    run unshare -p -f sh -c "$record -- $work"

    begin namespace-time
    cd "$DIR" || return
    cut -d. -f1 /proc/uptime >"$DIR/before"
    run unshare -T -f --monotonic 1000000 sh -c "$record -- $work"
    cut -d. -f1 /proc/uptime >"$DIR/after"

    begin namespace-user
    cd "$DIR" || return
    run unshare -U -r sh -c "$record -- $work"

    begin namespace-no-sys
    cd "$DIR" || return
    run unshare -m sh -c "mount -t tmpfs none /sys; $record -- $work"
    begin namespace-no-proc
    cd "$DIR" || return
    run unshare -m sh -c "mount -t tmpfs none /proc; $record -- $work"

    begin namespace-cgroup
    cd "$DIR" || return
    if mkdir -p /tmp/cgroup/outer/inner && [ -e /tmp/cgroup/outer/inner/cgroup.procs ]; then
        mkdir -p /tmp/inside
        export RECORD="$record"
        cat >"$DIR/inside.sh" <<'END'
mount -t cgroup2 none /tmp/inside
exec $RECORD -G /tmp/inside/inner -- sh -c '
    rmapscope-workload --facts "$FACTS" --label noise mlock --pages 7
    echo $$ >/tmp/inside/inner/cgroup.procs
    exec rmapscope-workload --facts "$FACTS" mlock --pages 20'
END
        run sh -c 'echo $$ >/tmp/cgroup/outer/cgroup.procs; exec unshare -C -m sh "$0"' "$DIR/inside.sh"
    else
        echo 'cgroup2 cannot be mounted' >"$DIR/skipped"
    fi
    cd / || return
}

loss() {
    record_work loss -m 4K -e rmap -- pageout --pages 4096 --rounds 3
}

endings() {
    record status-0 -e mlock -- true
    record status-7 -e mlock -- sh -c 'exit 7'
    record status-kill -e mlock -- sh -c 'kill -KILL $$'
    record status-not-found -e mlock -- /no/such/command
    local signal
    for signal in INT TERM KILL; do
        record_background "signal-$signal" -e mlock
        rmapscope-workload --facts "$FACTS" mlock --pages 60
        # The recording is written at least once a second.
        sleep 2.5
        end_background $signal
    done
    record duration -e mlock -d 1s

    # As nohup starts it: neither the session nor its command ends by SIGHUP. (timeout would give the signal back.)
    begin nohup
    (
        trap '' HUP
        exec rmapscope record --attach "$ATTACH" -o "$DIR/trace.data" -e mlock -- \
            sh -c 'kill -HUP $PPID; kill -HUP $$; sleep 1; exec rmapscope-workload --facts "$FACTS" mlock --pages 20'
    ) >"$DIR/stdout" 2>"$DIR/stderr"
    echo $? >"$DIR/status"
    record_background hangup -e mlock
    end_background HUP

    # The limit is raised as far as it may be; the command keeps its own.
    begin few-files-for-now
    (ulimit -S -n 24 && run rmapscope record --attach "$ATTACH" -o "$DIR/trace.data" -e mlock -- \
        sh -c 'test "$(ulimit -n)" = 24')
}

bad_input() {
    record unknown-event -e nonsense -- true
    record unknown-pid -e mlock -p 4194303 -d 1s
    record ring-too-large -m 1T -e mlock -- true

    begin few-files
    (ulimit -n 24 && run rmapscope record -o "$DIR/trace.data" -- true)

    begin unwritable
    run rmapscope record -e mlock -o /proc/no/such/folder/trace.data -- true
    begin no-privilege
    cd /tmp || return
    run setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all \
        rmapscope record -e mlock -o /tmp/unprivileged.data -- true
    begin disk-full
    mkdir -p /tmp/small
    # A quiet machine packs a round of 4096 events into 21 kB: eight are well beyond the disk.
    mount -t tmpfs -o size=64k none /tmp/small
    # Pauses longer than the second within which events are written: the first ones fit.
    run rmapscope record -e rmap --latency -o /tmp/small/trace.data -- sh -c \
        'for round in 1 2 3 4 5 6 7 8; do rmapscope-workload pageout --pages 4096 >/dev/null; sleep 1.5; done'
    cp /tmp/small/trace.data "$DIR/trace.data"
}

plans() {
    begin probes
    run rmapscope probes --json
    begin doctor
    run rmapscope doctor
}

prepare

if [ "$METHOD" = lockdown ]; then
    record_work lockdown -e rmap -- pageout --pages 64
    plans
    audits
else
    exact_counts
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
        plans
        audits
    fi
fi
echo done >"$OUT/finished"
