# Functions of the script that measures, in a guest; `measure` lines follow, one a subject.
#
# Every run has a control group of its own for the tracer. The workload leaves it for another one, so that
# what is left in it is what the tracer used; read at the end of the workload's loop, and when the tracer
# has exited. Files are written to a tmpfs and copied to $OUT afterwards.
set -u
# A tracer that hangs is ended after so many seconds of the guest's clock. That clock counts instructions
# while there are some, and flies when the guest waits, as it does for programs read from the host's disk.
LIMIT=1000
TMP=/mnt

cannot() {
    echo "xtask: the guest cannot measure: $1" >&2
    exit 2
}

prepare() {
    mount -t tmpfs tmpfs $TMP && cd $TMP || cannot 'no tmpfs'
    mkdir cgroup && mount -t cgroup2 cgroup2 $TMP/cgroup || cannot 'no control groups (cgroup v2)'
    mkdir cgroup/work || cannot 'no control group for the workload'
    uname -srvm >"$OUT/kernel"
    cat /proc/cmdline >>"$OUT/command-lines"
}

# work NAME FUNCTION UNITS ROUNDS REGISTERS: what the measurements after it are of. REGISTERS: what perf and trace-cmd
# record, the arguments of the function as they are in the registers of x86-64.
work() {
    WORK=$1 UNITS=$3 ROUNDS=$4
    echo "p:rmapscope/$2 $2 $5" >>/sys/kernel/tracing/kprobe_events ||
        echo "xtask: no kprobe event of $2: perf and trace-cmd will fail" >&2
    # The first run in a boot pays for memory that later ones find ready: it is thrown away.
    once "$1-warm-up" 1 plain "$UNITS" "$ROUNDS" @work || cannot "the work $1 fails: $(cat stderr)"
}

# measure NAME PROGRAM WORD…: the passes of one subject. @work stands for the words of the workload's command
# line, @line for the same in one word, @data for the file to write. A pass has three runs:
#   short  of one unit of work: what the tracer's start and end cost without events
#   plain  in full without a tracer, just before, because memory ages as the guest runs
#   full   in full with the tracer
measure() {
    local name=$1 pass
    if ! command -v "$2" >/dev/null; then
        echo "xtask: $name: $2 is not installed" >&2
        return
    fi
    shift
    for pass in $(seq "$PASSES"); do
        echo "xtask: measuring $name, pass $pass of $PASSES" >&2
        once "$name" "$pass" short 1 1 "$@" &&
            once "$name" "$pass" plain "$UNITS" "$ROUNDS" @work &&
            once "$name" "$pass" full "$UNITS" "$ROUNDS" "$@" || return
    done
}

RUN=0

# once NAME PASS KIND UNITS ROUNDS PROGRAM WORD…: one run; a line of JSON about it. Fails when the tracer
# does.
once() {
    local name=$1 pass=$2 kind=$3 units=$4 rounds=$5
    shift 5
    RUN=$((RUN + 1))
    local group=$TMP/cgroup/$RUN file=$OUT/$name.$pass.$kind status work words word used size=0
    mkdir "$group" || cannot 'no control group for the tracer'
    rm -rf result data data.old
    work=(rmapscope-workload cost --work "$WORK" --units "$units" --rounds "$rounds" --result $TMP/result
        --own-cgroup $TMP/cgroup/work --tracer-cgroup "$group")
    words=()
    for word in "$@"; do
        case $word in
            @work) words+=("${work[@]}") ;;
            @line) words+=("${work[*]}") ;;
            @data) words+=($TMP/data) ;;
            *) words+=("$word") ;;
        esac
    done
    timeout --foreground --kill-after=5 $LIMIT \
        bash -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group" "${words[@]}" >stdout 2>stderr
    status=$?
    used=$(sed -n 's/^usage_usec //p' "$group/cpu.stat")
    rmdir "$group" 2>/dev/null
    # Tracers that print leave nothing else.
    [ -f data ] || case $1 in bpftrace | around) mv stdout data ;; esac
    [ ! -f data ] || size=$(stat -c %s data)
    printf '{"subject":"%s","pass":%d,"kind":"%s","status":%d,"used":%d,"size":%d,"work":%s}\n' \
        "$name" "$pass" "$kind" "$status" "$used" "$size" "$(cat result 2>/dev/null || echo null)" \
        >>"$OUT/runs.jsonl"
    cp stderr "$file.stderr"
    [ ! -f data ] || cp data "$file.data"
    [ "$status" = 0 ]
}
