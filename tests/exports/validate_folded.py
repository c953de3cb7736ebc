"""Folded stacks: loaded by the Firefox profiler's importer of flame graphs; every thread and loss by its events."""

from common import check_equal, main
from profiler import call_tree
from stacks import events_by_thread, missing_by_cause


def validate(export, trace):
    tree = call_tree(export)
    expected = events_by_thread(trace) + missing_by_cause(trace)
    check_equal("samples", tree["totalSamples"], sum(trace.counts.values()) + sum(trace.losses.values()))
    check_equal("events by thread", {node["name"]: node["totalSamples"] for node in tree["children"]}, dict(expected))
    nodes, stacks = list(tree["children"]), 0
    while nodes:
        node = nodes.pop()
        nodes += node.get("children", [])
        stacks += node["selfSamples"] > 0
    with open(export) as lines:
        check_equal("stacks", stacks, sum(1 for _ in lines))
    return f"{expected.total()} events and losses in {stacks} stacks of {len(expected)} threads and losses"


main(validate)
