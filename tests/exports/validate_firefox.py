"""Firefox profiler: loaded by the profiler itself; every event is a marker with its fields and its stack."""

import collections

from common import check_equal, fail, main
from profiler import MOST_MARKERS, markers

STATES = {"device-exclusive", "migration entry", "bounced"}
OWN = STATES | {"events missing", "end of the recording"}


def text(event, name):
    """A field of `script -j` as markers have it; None for what they have in words of their own."""
    value = event[name]
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int):
        return f"-{event[name + '_errno']}" if name + "_errno" in event else str(value)
    if isinstance(value, list):
        return "|".join(value) or "0"
    return value if isinstance(value, str) else None


def validate(export, trace):
    found, total = markers(export)
    if total > MOST_MARKERS:
        fail(f"{total} markers are more than the reader shows; take a smaller trace")
    check_equal("markers shown", len(found), total)
    losses = collections.Counter()
    for marker in found:
        if marker["name"] == "events missing":
            fields = {field["key"]: str(field["value"]) for field in marker["fields"]}
            losses[fields["cause"]] += int(fields["count"])
    check_equal("losses", dict(losses), trace.losses)
    events = [marker for marker in found if marker["name"] not in OWN]
    check_equal("events", dict(collections.Counter(marker["name"] for marker in events)), trace.counts)
    with_stack = sum(1 for event in trace.events if event.get("stack") in trace.frames)
    check_equal("stacks", sum(1 for marker in events if marker["hasStack"]), with_stack)

    # Markers come by time of their beginning, events by that of their end: compared as a heap.
    def fields_of(marker):
        return {field["key"]: str(field["value"]) for field in marker.get("fields", [])}

    actual, expected = collections.Counter(), collections.Counter()
    for marker in events:
        fields = fields_of(marker)
        pid = int(marker["pid"])
        actual[(marker["name"], pid, *sorted((name, value) for name, value in fields.items()))] += 1
    names = {marker["name"]: fields_of(marker).keys() for marker in events}
    unknown = set()
    for event in trace.events:
        values = {name: text(event, name) for name in names[event["event"]]}
        unknown |= {(event["event"], name) for name, value in values.items() if value is None}
        expected[(event["event"], event["pid"], *sorted((name, value) for name, value in values.items() if value is not None))] += 1
    # What one side says in words of its own is left out on both.
    def without(key):
        return key[:2] + tuple(pair for pair in key[2:] if (key[0], pair[0]) not in unknown)

    def reduced(counter):
        sums = collections.Counter()
        for key, count in counter.items():
            sums[without(key)] += count
        return sums

    actual, expected = reduced(actual), reduced(expected)
    if actual != expected:
        fail(f"{list((actual - expected).items())[:2]} instead of {list((expected - actual).items())[:2]}")
    states = collections.Counter(marker["name"] for marker in found if marker["name"] in STATES)
    return f"{len(events)} markers of events with their fields, {with_stack} stacks, states {dict(states)}, {losses.total()} lost"


main(validate)
