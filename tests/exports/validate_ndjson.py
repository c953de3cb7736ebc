"""NDJSON: the same objects as those of `script`, and readable as a table by DuckDB."""

import json

import duckdb

from common import check_equal, counts_of, main


def validate(export, trace):
    with open(export) as lines:
        objects = [json.loads(line) for line in lines]
    for kind, expected in trace.objects.items():
        check_equal(f"objects `{kind}`", [value for value in objects if value["type"] == kind], expected)
    check_equal("objects", len(objects), sum(map(len, trace.objects.values())))
    query = "SELECT event FROM read_json(?, format = 'newline_delimited', sample_size = -1) WHERE type = 'event'"
    names = (row[0] for row in duckdb.connect().execute(query, [export]).fetchall())
    check_equal("events by DuckDB", counts_of(names), trace.counts)
    return f"{len(objects)} objects, by json of Python and DuckDB {duckdb.__version__}"


main(validate)
