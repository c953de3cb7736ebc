# Part of sessions.sh: `clients` looks at processes that hold a GPU's node open. vgem is a driver without hardware, a module
# of Debian's kernels; of the newer ones guests do not have it (xtask/src/kernel/stock.rs). Nothing is attached.

# Where vgem can be had: its node, or nothing.
vgem_node() {
    modprobe vgem 2>/dev/null
    for _ in $(seq 50); do
        [ -e /dev/dri/renderD128 ] && return
        sleep 0.1
    done
    return 1
}

# Starts a workload that holds clients, and waits until it states them.
hold_clients() {
    rmapscope-workload --facts "$FACTS" gpu-clients --hold 60 >"$DIR/workload" 2>&1 &
    HOLDER=$!
    for _ in $(seq 100); do
        grep -q clients "$FACTS" && return
        kill -0 "$HOLDER" 2>/dev/null || return
        sleep 0.1
    done
}

# Ends it, and the children that it keeps.
end_clients() {
    kill -KILL "$HOLDER" $(cat "/proc/$HOLDER/task/$HOLDER/children")
    wait "$HOLDER" 2>/dev/null
    for _ in $(seq 50); do
        [ "$(rmapscope clients -q --once -j | grep -c '"type":"client"')" = 0 ] && return
        sleep 0.1
    done
}

# clients_held NAME: who holds what, at one look, at two, and as text; what debugfs shows; and what nobody may see.
clients_held() {
    begin "$1" || return 0
    vgem_node || { echo 'this kernel has no vgem' >"$DIR/skipped"; return; }
    hold_clients
    cat /sys/kernel/debug/dri/128/clients >"$DIR/debugfs" 2>/dev/null
    "${NOBODY[@]}" "$(command -v rmapscope)" clients --once >"$DIR/nobody" 2>"$DIR/nobody.stderr"
    rmapscope clients --interval 100ms >"$DIR/text" 2>>"$DIR/workload"
    rmapscope clients --watch=100ms --count 3 --json >"$DIR/watch" 2>>"$DIR/workload"
    run rmapscope clients --once --json
    end_clients
}

clients() {
    clients_held clients
    # Loaded again, the driver's devices are others with the same numbers.
    modprobe -r vgem 2>/dev/null
    clients_held clients-again
}
