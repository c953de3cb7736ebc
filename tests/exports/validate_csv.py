"""CSV: every cell of every event by DuckDB, and its rows by Python's reader of spreadsheets' dialect."""

import csv

import duckdb

from common import LOSSES, check_equal, counts_of, main


def cell(name, value, event, start):
    """What stands for a value of `script -j`."""
    if name == "time":
        return f"{(value - start) // 1000 / 1e6:.6f}"
    if value is None:
        return None
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, list):
        return "|".join(value) or "0"
    if isinstance(value, dict):
        parts = [f"pfn={value['pfn']}"] if value.get("pfn") else []
        # Of swap entries with a meaning of their own the type says nothing more.
        parts += [f"type={value['swap_type']}"] if value["kind"] == "swap" else []
        parts += [name for name in ("soft_dirty", "uffd_wp") if value.get(name)]
        return value["kind"] + (f"({','.join(parts)})" if parts else "")
    if f"{name}_errno" in event and name != "stack":
        return "-" + event[f"{name}_errno"]
    text = str(value)
    return f"'{text}" if name in ("comm", "new_comm", "child_comm", "device", "device_name") and text[:1] in "=+-@" else text


def validate(export, trace):
    query = duckdb.connect().execute("SELECT * FROM read_csv(?, all_varchar = true, header = true, nullstr = ['', '?'])", [export])
    names = [column[0] for column in query.description]
    rows = [dict(zip(names, row)) for row in query.fetchall()]
    events = [row for row in rows if row["event"] not in LOSSES]
    check_equal("events", counts_of(row["event"] for row in events), trace.counts)
    start = trace.events[0]["time"]
    for index, (row, event) in enumerate(zip(events, trace.events, strict=True)):
        members = {name: value for name, value in event.items() if name != "type" and not name.endswith("_errno")}
        expected = {name: cell(name, value, event, start) for name, value in members.items()}
        expected = {name: value for name, value in expected.items() if value is not None}
        actual = {name: value for name, value in row.items() if value is not None}
        check_equal(f"row {index} ({event['event']})", actual, expected)
    with open(export, newline="") as lines:
        by_python = [row["event"] for row in csv.DictReader(lines, strict=True)]
    check_equal("events by Python", by_python, [row["event"] for row in rows])
    return f"{len(rows)} rows of {len(names)} columns, by DuckDB {duckdb.__version__} and Python"


main(validate)
