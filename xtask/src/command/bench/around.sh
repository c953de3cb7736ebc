#!/bin/bash
# around TRACER ARGUMENT… -- COMMAND…: runs the command under a tracer that takes none: it says when it is ready, and
# ends by SIGINT.
tracer=()
while [ "$1" != -- ]; do
    tracer+=("$1")
    shift
done
shift
stdbuf -oL "${tracer[@]}" >around &
pid=$!
until grep -q Tracing around; do
    kill -0 $pid 2>/dev/null || exit 1
    sleep 0.1
done
"$@"
status=$?
kill -INT $pid
wait $pid
cat around
exit $status
