"""Trace-event JSON: by Python's json field by field, and counted by the Firefox profiler's importer."""

import collections
import json

from common import check_equal, counts_of, fail, main
from profiler import markers

PHASES = {"X", "i", "b", "e", "C", "M"}


def validate(export, trace):
    with open(export) as file:
        written = json.load(file)
    phases = collections.defaultdict(list)
    for event in written["traceEvents"]:
        if event["ph"] not in PHASES or not {"pid", "tid", "ts", "name", "args"} <= event.keys():
            fail(f"no trace event: {event}")
        phases[event["ph"]].append(event)
    own = [event for event in written["traceEvents"] if event["ph"] in "Xi"]
    check_equal("events", counts_of(event["name"] for event in own), trace.counts)
    for event, expected in zip(own, trace.events, strict=True):
        time = round((event["ts"] + event.get("dur", 0)) * 1000)
        if abs(time - expected["time"]) > 1:
            fail(f"time of {event}")
        check_equal("thread", (event["pid"], event["tid"]), (expected["pid"], expected["tid"]))
        for name, value in event["args"].items():
            if name != "stack":
                check_equal(f"{name} of {expected}", value, expected[name])
    begun, ended = (
        collections.Counter((event["pid"], event["cat"], event["id"]) for event in phases[phase]) for phase in "be"
    )
    check_equal("spans", begun, ended)
    if any(count > 1 for count in begun.values()):
        fail("a span begins twice")
    losses = collections.Counter()
    for event in phases["b"]:
        if event["cat"] == "lost":
            losses[event["args"]["cause"]] += event["args"]["count"]
    check_equal("losses", dict(losses), trace.losses)
    _, total = markers(export)
    check_equal("markers that the profiler imports", total, len(own) + len(begun))
    return f"{len(own)} events, {len(begun)} spans, {len(phases['C'])} counter values, {losses.total()} lost"


main(validate)
