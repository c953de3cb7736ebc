"""What formats of stacks begin their stacks with, from the objects of `script -j`."""

import collections

# Stacks of what is missing are one frame.
MISSING = {
    "lost": "[lost: ring full]",
    "missed": "[missed: skipped by the kernel]",
    "dropped": "[dropped: not read or damaged]",
}


def events_by_thread(trace):
    """Events by the name of their thread."""
    return collections.Counter(event["comm"] or "[unknown]" for event in trace.events)


def missing_by_cause(trace):
    """Events that are missing, by the frame that says so."""
    return collections.Counter({MISSING[cause]: count for cause, count in trace.losses.items()})
