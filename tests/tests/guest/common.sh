# Sourced by the scripts that run in a guest. They set PATH, OUT (a writable folder) and DISK.
#
# Each session gets a folder in OUT with what it left behind: status, stdout, stderr, facts, and what the session
# itself adds. The file OUT/wanted has the names of the sessions to run, a line each.
# `scripts.rs` reads the names of all sessions from these scripts: a name is written out where its session begins.
DISK=/dev/nvme0n1

# Of the session that was begun last. Before the first one, and where that one is not wanted, commands that are never run
# name it all the same.
export FACTS=/dev/null
WANTED=$(<"$OUT/wanted")

# What every session needs, before the first one.
prepare() {
    mount -t debugfs none /sys/kernel/debug 2>/dev/null
    [ -d /sys/kernel/tracing/events ] || mount -t tracefs none /sys/kernel/tracing
    uname -r >"$OUT/release"
    # Swap is there before the first session, so that making it is in none of them.
    rmapscope-workload pageout --pages 1 >"$OUT/swap" 2>&1
}

# The device that does the disk's DMA. The disk itself need not be below it: where the kernel takes it for one that several
# controllers reach, it is below a subsystem of NVMe's own (6.1 drivers/nvme/host/multipath.c).
disk_controller() {
    readlink -f /sys/class/nvme/nvme0/device
}

# wanted NAME: whether that session is to be run.
wanted() {
    [[ $'\n'$WANTED$'\n' == *$'\n'"$1"$'\n'* ]]
}

# begin NAME: a session's folder, and the file that the workloads state their facts in. Fails when the session is not
# wanted: nothing of it is to be done then.
begin() {
    wanted "$1" || return
    DIR="$OUT/$1"
    mkdir -p "$DIR"
    # A console that ends badly says where.
    echo "rmapscope session: $1" >/dev/kmsg
    export FACTS="$DIR/facts"
    : >"$FACTS"
}

# Runs a command, at most for as long as a hang takes to be noticed on a slow machine, and keeps what it said.
run() {
    timeout --kill-after=5 "${LIMIT:-240}" "$@" >"$DIR/stdout" 2>"$DIR/stderr"
    echo $? >"$DIR/status"
}

# plain NAME COMMAND…: a session that is one command.
plain() {
    begin "$1" || return 0
    shift
    run "$@"
}

# Starts a session in the background and waits until its probes are attached.
background() {
    "$@" >"$DIR/stdout" 2>"$DIR/stderr" &
    BACKGROUND=$!
    for _ in $(seq 300); do
        grep -qiE 'recording|checking' "$DIR/stderr" && return
        kill -0 "$BACKGROUND" 2>/dev/null || return
        sleep 0.1
    done
}

# end_background SIGNAL: ends the session; one that does not end within half a minute is killed.
end_background() {
    kill "-$1" "$BACKGROUND"
    for _ in $(seq 300); do
        kill -0 "$BACKGROUND" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$BACKGROUND" 2>/dev/null
    wait "$BACKGROUND"
    echo $? >"$DIR/status"
}

# huge_pages WORK…: each of these works on huge pages, one after the other; ends at the first that fails.
huge_pages() {
    local work
    for work in "$@"; do
        # The words of the work are options of their own.
        # shellcheck disable=SC2086
        rmapscope-workload --facts "$FACTS" --label "huge $work" huge $work || return
    done
}
export -f huge_pages

# Runs a command without privilege.
NOBODY=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all)

# What needs no test driver.
HUGE_PAGES=(
    'migrate' 'migrate --pte' 'migrate --shared' 'migrate --pte --shared'
    'split' 'split --pte' 'split --cut munmap' 'split --cut dontneed' 'split --cut mprotect'
    'pageout' 'pageout --pte' 'fork' 'fork --pte' 'lock' 'lock --pte'
)

# Single pages of huge ones that become exclusive, and huge pages that move to the device.
HUGE_DEVICE_PAGES=(
    'exclusive' 'exclusive --pte' 'exclusive --end fork' 'exclusive --end munmap'
    'exclusive --first 0' 'exclusive --first 0 --end fork' 'exclusive --first 510 --pages 4'
    'device' 'device --pte'
)
