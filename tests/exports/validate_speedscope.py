"""speedscope: by the schema in its own package; the sums of each profile, and the stacks of the one by events."""

import collections
import json
import os

import jsonschema

from common import check_equal, fail, main
from stacks import events_by_thread, missing_by_cause

SCHEMA = os.path.join(os.environ["RMAPSCOPE_EXPORTS_NODE"], "speedscope/dist/release/file-format-schema.json")


def validate(export, trace):
    with open(export) as file, open(SCHEMA) as schema:
        written = json.load(file)
        jsonschema.validate(written, json.load(schema))
    frames = [frame["name"] for frame in written["shared"]["frames"]]
    check_equal("frames", len(set(frames)), len(frames))
    for profile in written["profiles"]:
        name, samples, weights = profile["name"], profile["samples"], profile["weights"]
        check_equal(f"weights of {name}", len(weights), len(samples))
        check_equal(f"end of {name}", profile["endValue"] - profile["startValue"], sum(weights))
        if max(map(max, samples)) >= len(frames):
            fail(f"{name} has a frame that is not in the list")
    by_events = written["profiles"][written["activeProfileIndex"]]
    check_equal("profile that opens", by_events["name"], "events")
    roots = collections.Counter()
    for sample, weight in zip(by_events["samples"], by_events["weights"]):
        roots[frames[sample[0]]] += weight
    check_equal("events by thread", dict(roots), dict(events_by_thread(trace) + missing_by_cause(trace)))
    return f"{roots.total()} events and losses in {len(by_events['samples'])} stacks, {len(written['profiles'])} profiles"


main(validate)
