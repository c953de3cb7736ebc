"""Compares what the second reader finds in a trace file with what `rmapscope script -j` printed of it.

`compare.py FILE LINES`: the lines of LINES whose type is `event` or `loss` must be the objects of the second reader, in
the same order, field by field. Lines of other types (header, process, stack, summary) are not compared.
"""

import collections
import itertools
import json
import sys

import reader

COMPARED = ("event", "loss")


def difference(ours, theirs):
    """The first field in which two objects differ; as JSON, since 1 and true are equal in Python."""
    if ours is None or theirs is None:
        return f"only {'script' if ours is None else 'the second reader'} has {theirs or ours}"
    for name in ours | theirs:
        both = [json.dumps(shown[name], sort_keys=True) if name in shown else "missing" for shown in (ours, theirs)]
        if both[0] != both[1]:
            return f"`{name}` is {both[0]} for the second reader and {both[1]} for script in {theirs}"
    return None


def main():
    file, lines = sys.argv[1:]
    with open(lines) as printed:
        theirs = [json.loads(line) for line in printed]
    counts = collections.Counter(shown["type"] for shown in theirs)
    reader.check(counts["event"], "script printed no event to compare")
    theirs = [shown for shown in theirs if shown["type"] in COMPARED]
    for place, pair in enumerate(itertools.zip_longest(reader.read(file), theirs)):
        why = difference(*pair)
        reader.check(why is None, f"object {place}: {why}")
    others = counts.total() - len(theirs)
    print(f"{counts['event']} events and {counts['loss']} losses are the same; "
          f"{others} lines of other types were not compared")


main()
