"""What every validation needs: the trace as `rmapscope` itself tells it, and a way to fail.

A validation is a program `validate_FORMAT.py EXPORT STATS EVENTS`:

EXPORT  what `rmapscope export` wrote, a file or a folder;
STATS   `rmapscope script --stats -j` of the same trace;
EVENTS  `rmapscope script -j --raw` of the same trace.

It reads EXPORT with a reader that is not ours, compares, and ends with status 0 and a line about what it compared, or
with status 1 and what differs.
"""

import collections
import json
import sys

LOSSES = ("lost", "missed", "dropped")


class Trace:
    """The trace as `script` prints it."""

    def __init__(self, stats, events):
        with open(stats) as lines:
            counts = [json.loads(line) for line in lines]
        self.counts = {line["event"]: line["count"] for line in counts if line["event"] not in LOSSES}
        self.losses = {line["event"]: line["count"] for line in counts if line["event"] in LOSSES}
        self.objects = collections.defaultdict(list)
        with open(events) as lines:
            for line in lines:
                value = json.loads(line)
                self.objects[value["type"]].append(value)
        self.events = self.objects["event"]
        check_equal("events of script -j", counts_of(event["event"] for event in self.events), self.counts)
        self.frames = {
            stack["id"]: [frame["symbol"] or frame["address"] for frame in stack["frames"]]
            for stack in self.objects["stack"]
        }


def counts_of(names):
    """How often each name is there."""
    return dict(collections.Counter(names))


def fail(message):
    """Ends the validation."""
    sys.exit(f"{sys.argv[0]}: {message}")


def check_equal(what, actual, expected):
    """Ends the validation if the two differ."""
    if actual == expected:
        return
    if isinstance(actual, dict) and isinstance(expected, dict):
        names = [name for name in actual.keys() | expected.keys() if actual.get(name) != expected.get(name)]
        actual = {name: actual.get(name) for name in sorted(names)}
        expected = {name: expected.get(name) for name in sorted(names)}
    fail(f"{what}: {actual!r} instead of {expected!r}")


def main(validate):
    """Runs `validate(export, trace)`, which returns what it compared."""
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    export, stats, events = sys.argv[1:]
    print(validate(export, Trace(stats, events)))
