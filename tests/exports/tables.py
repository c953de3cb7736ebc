"""Rows of a table beside the objects of `script -j`, field by field."""

from common import LOSSES, check_equal, counts_of, fail

# What a row has and the object of an event has not.
ADDED = {"host", "release", "session", "timestamp", "since_start", "family", "frames"}
# What an object of an event has and a row has not: the number of a result is the result.
UNCOPIED = {"type", "result_raw", "inner_result_raw", "stack_errno"}
# Where a folder of partitions puts a row.
PARTITIONS = {"date", "kernel", "kind"}
DUCKDB_TYPES = {"BIGINT": int, "VARCHAR": str, "BOOLEAN": bool, "VARCHAR[]": list}
ENTRY_PARTS = ("swap_type", "pfn", "soft_dirty", "uffd_wp")


def signed(text):
    """A number in hexadecimal as a signed one of 64 bits."""
    number = int(text, 16)
    return number - (1 << 64) if number >> 63 else number


def cells(event, types):
    """The columns that an event fills, from its object; `types` tells which columns are numbers."""
    row = {}
    for name, value in event.items():
        if name in UNCOPIED or value is None or value == "none" and types[name] == int:
            continue
        if isinstance(value, dict):
            row[name] = value["kind"]
            for part in ENTRY_PARTS:
                if value.get(part) is not None:
                    part_value = value[part]
                    row[f"{name}_{part}"] = signed(part_value) if part == "pfn" else part_value
        elif types[name] == int and isinstance(value, str):
            row[name] = -1 if value in ("error", "free") else signed(value)
        elif types[name] == str and not isinstance(value, str):
            row[name] = str(value)
        else:
            row[name] = value
    return row


def check_rows(rows, types, trace):
    """Compares all rows, in the order of the stream, with the trace."""
    rows = [{name: value for name, value in row.items() if value is not None and name not in PARTITIONS} for row in rows]
    losses = [row for row in rows if row["event"] in LOSSES]
    rows = [row for row in rows if row["event"] not in LOSSES]
    check_equal("events", counts_of(row["event"] for row in rows), trace.counts)
    lost = {}
    for row in losses:
        lost[row["event"]] = lost.get(row["event"], 0) + row["lost_count"]
    check_equal("losses", {cause: count for cause, count in lost.items() if count}, trace.losses)
    start = trace.events[0]["time"]
    for index, (row, event) in enumerate(zip(rows, trace.events, strict=True)):
        what = f"row {index} ({event['event']})"
        check_equal(what, {name: row[name] for name in row.keys() - ADDED}, cells(event, types))
        check_equal(f"since_start of {what}", row["since_start"], event["time"] - start)
        check_equal(f"frames of {what}", row.get("frames"), trace.frames.get(event.get("stack")))
        if not ADDED - {"frames"} <= row.keys():
            fail(f"{what} lacks {ADDED - row.keys()}")
    return len(rows), len(losses)
