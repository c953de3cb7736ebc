"""Parquet in partitions: every field by DuckDB, and that a query opens only the files that it needs."""

import pathlib
import re

import duckdb

from common import LOSSES, check_equal, fail, main
from tables import DUCKDB_TYPES, check_rows


def validate(export, trace):
    files = sorted(str(path.relative_to(export)) for path in pathlib.Path(export).rglob("*") if path.is_file())
    layout = re.compile(r"date=\d{4}-\d\d-\d\d/kernel=\d+\.\d+\.y/kind=[a-z]+/[^/]+\.parquet")
    for file in files:
        if not layout.fullmatch(file):
            fail(f"{file} is not in the layout")
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    table = f"read_parquet('{export}/**/*.parquet', hive_partitioning = true, union_by_name = true)"
    query = connection.execute(f"SELECT * FROM {table}")
    types = {column[0]: DUCKDB_TYPES.get(str(column[1])) for column in query.description}
    names = list(types)
    rows = [dict(zip(names, row)) for row in query.fetchall()]
    for row in rows:
        check_equal("kind", row["kind"], row["family"] or "unknown")
        check_equal("date", str(row["date"]), str(row["timestamp"].date()))
    # The rows of a file are in the order of the stream; files come by family.
    by_family, losses = {}, []
    for row in rows:
        of_its_kind = losses if row["event"] in LOSSES else by_family.setdefault(row["family"], [])
        of_its_kind.append(row)
    families = {row["event"]: row["family"] for row in rows}
    merged, next_of = [], {family: iter(rows) for family, rows in by_family.items()}
    for event in trace.events:
        merged.append(next(next_of[families[event["event"]]]))
    check_rows(merged + [row for rest in next_of.values() for row in rest] + losses, types, trace)
    kinds = sorted({row["kind"] for row in rows})
    check_equal("files", len(files), len(kinds))
    for kind in kinds:
        # DuckDB answers counts and extremes from the metadata, without a scan.
        plan = connection.execute(f"EXPLAIN SELECT comm FROM {table} WHERE kind = '{kind}'").fetchall()
        scanned = re.search(r"Scanning Files:\s*(\d+)/(\d+)", plan[0][1])
        check_equal(f"files for kind={kind}", scanned and scanned.groups(), ("1", str(len(files))))
    return f"{len(rows)} rows in {len(files)} files, 1 of them scanned where kind is given, by DuckDB {duckdb.__version__}"


main(validate)
