# Sourced by sessions.sh: the live screen, in a terminal that tmux is, with keys typed into it.

# in_terminal COMMAND…: tmux, with a server of its own.
in_terminal() {
    tmux -L rmapscope -f /dev/null "$@"
}

# type_keys KEY…: into the terminal.
type_keys() {
    in_terminal send-keys -t top "$@"
}

# type_line COMMAND: a line of the shell.
type_line() {
    type_keys -l "$1"
    type_keys Enter
}

# see NAME WORDS…: waits until the screen has a line with all the words, and keeps it as NAME; what has not come after
# half a minute does not.
see() {
    local name=$1 line word
    shift
    for _ in $(seq 150); do
        in_terminal capture-pane -p -t top >"$DIR/$name"
        while IFS= read -r line; do
            for word in "$@"; do
                [[ "$line" == *"$word"* ]] || continue 2
            done
            return 0
        done <"$DIR/$name"
        sleep 0.2
    done
    echo "$name: there is no line with $*" >>"$DIR/unseen"
}

# wait_for FILE: until it has a line.
wait_for() {
    for _ in $(seq 300); do
        [ -s "$1" ] && return
        sleep 0.1
    done
    echo "there is no $1" >>"$DIR/unseen"
}

# The program `top` with these options, from a shell that notes its status and the terminal's state afterwards; NAME is
# what they are noted as.
start_top() {
    local name=$1
    shift
    type_line "clear; rmapscope top --attach $ATTACH $*; echo \$? >$DIR/$name-status; stty -a >$DIR/$name-stty"
}

# end_top NAME: waits for that, and notes whether the terminal's other screen is still shown.
end_top() {
    wait_for "$DIR/$1-stty"
    in_terminal display-message -p -t top '#{alternate_on}' >"$DIR/$1-alternate"
    see "$1-end" "$"
}

# work LABEL PAGES: walks of a process of its own, whose id is noted.
work() {
    rmapscope-workload --facts "$FACTS" --label "$1" pageout --pages "$2" >>"$DIR/workload" 2>&1 &
    echo $! >"$DIR/$1-pid"
    wait $!
}

screens() {
    plain top-no-terminal rmapscope top
    begin top || return 0
    if ! command -v tmux >/dev/null; then
        echo 'there is no tmux' >"$DIR/skipped"
        return
    fi
    in_terminal new-session -d -s top -x 100 -y 30 "PS1='\$ ' bash --norc --noprofile"
    type_line "stty -a >$DIR/stty"
    wait_for "$DIR/stty"

    start_top keys -e rmap --by process -I 500ms
    see begun 'rmapscope top  '
    in_terminal display-message -p -t top '#{alternate_on}' >"$DIR/alternate"
    work many 200
    work few 60
    type_keys s
    see count "$(<"$DIR/few-pid") rmapscope-workl"
    type_keys r
    see reversed 'sorted by COUNT, reversed'
    type_keys Space
    see paused PAUSED
    work unseen 40
    sleep 2
    see still PAUSED
    type_keys Space
    see resumed "$(<"$DIR/unseen-pid") rmapscope-workl"
    type_keys /
    type_keys -l "$(<"$DIR/many-pid") "
    type_keys Enter
    see filtered 'with "' '1 of '
    # The processes have ended: there is nobody to look into.
    type_keys d
    see drill 'try_to_unmap, process'
    type_keys c
    type_keys Enter
    see gone 'back again'
    see back 'by process, latency' ' s '
    type_keys Escape
    # Another grouping begins anew.
    type_keys g
    see menu 'group by:'
    type_keys e
    type_keys Enter
    see by-event 'by event, latency' ' s '
    work anew 50
    see event try_to_unmap
    sleep 1
    see event try_to_unmap
    in_terminal resize-window -t top -x 79 -y 24
    see small 'needs 80x24'
    in_terminal resize-window -t top -x 100 -y 30
    type_keys h
    see help 'Ctrl-C'
    type_keys Escape
    type_keys q
    end_top keys

    start_top term -e rmap --of none -I 500ms
    see term 'rmapscope top  '
    kill -TERM "$(pgrep -x rmapscope)"
    end_top term

    start_top pools -e swiotlb --by device -I 500ms
    see pools 'rmapscope top  '
    rmapscope-workload swiotlb-io --device "$DISK" --blocks 40 >>"$DIR/workload" 2>&1
    see bounced 'swiotlb_map '
    cat /sys/kernel/debug/swiotlb/io_tlb_used_hiwater >"$DIR/highest"
    cat /sys/kernel/debug/swiotlb/io_tlb_nslabs >"$DIR/slots"
    type_keys q
    end_top pools

    type_line "export NO_COLOR=1 TERM=dumb"
    start_top hup -e rmap -I 500ms
    see hup 'rmapscope top  '
    kill -HUP "$(pgrep -x rmapscope)"
    end_top hup

    start_top command -e rmap --by name -I 200ms --command-output "$DIR/command-said" -- sh -c \
        "'echo said; exec rmapscope-workload --facts $FACTS --label command pageout --pages 70 --rounds 2'"
    end_top command
    in_terminal kill-server
}
