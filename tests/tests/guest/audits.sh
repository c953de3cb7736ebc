# Part of sessions.sh: `audit` looks at processes that keep special entries. Nothing is attached, so these
# sessions are also run in lockdown.

# Starts a workload that keeps what it made, and waits until `audit` sees entries of KIND.
#   hold KIND ARGUMENT…
hold() {
    local kind=$1
    shift
    rmapscope-workload --facts "$FACTS" "$@" &
    HOLDER=$!
    for _ in $(seq 100); do
        rmapscope audit -q "$HOLDER" 2>/dev/null | grep -q "$kind" && return
        kill -0 "$HOLDER" 2>/dev/null || return
        sleep 0.1
    done
}

# audit_work NAME KIND ARGUMENT…: what `audit` says of a workload, as it stands and by reading every word.
audit_work() {
    begin "$1" || return 0
    hold "${@:2}" --hold 30
    run rmapscope audit --json --fail-on any --no-scan "$HOLDER"
    mv "$DIR/stdout" "$DIR/read"
    run rmapscope audit --json --fail-on any --vm-flags "$HOLDER"
    kill "$HOLDER"
    wait "$HOLDER" 2>/dev/null
}

# A process that keeps moving its pages, looked at as often as can be: up to 6.2 only one page at a time is under
# migration (6.1 mm/migrate.c, unmap_and_move).
audit_watch() {
    begin audit-watch || return 0
    rmapscope-workload migrate --pages 96 --endless >"$DIR/mover" 2>&1 &
    local mover=$!
    run rmapscope audit --json --watch=1ms --count 800 "$mover"
    kill "$mover" 2>/dev/null
    wait "$mover" 2>/dev/null
}

# Entries that may only be read, where there are such.
audit_exclusive_read() {
    wanted audit-exclusive-read || return 0
    if grep -q device_exclusive_read "$OUT/audit-exclusive/stdout"; then
        audit_work audit-exclusive-read device_exclusive_read exclusive --pages 64 --mprotect
    else
        begin audit-exclusive-read || return 0
        echo 'since 6.15 there is one type of exclusive entries' >"$DIR/skipped"
    fi
}

audits() {
    audit_work audit-marked pte_marker marked --pages 16
    plain audit-all rmapscope audit --all --json --fail-on device_exclusive,device_private
    plain audit-unprivileged "${NOBODY[@]}" rmapscope audit --all
    plain audit-nobody rmapscope audit 4194303
    [ -d /sys/devices/system/node/node1 ] && audit_watch
    [ -e /dev/hmm_dmirror0 ] || return
    audit_work audit-exclusive device_exclusive exclusive --pages 64
    audit_exclusive_read
    audit_work audit-device device_write hmm-migrate --pages 64
}
