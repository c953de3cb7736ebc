"""Parquet, one file: every field of every event by DuckDB and by pyarrow."""

import json

import duckdb
import pyarrow
import pyarrow.parquet

from common import check_equal, fail, main
from tables import DUCKDB_TYPES, check_rows


def by_duckdb(export, trace):
    query = duckdb.connect().execute("SET preserve_insertion_order = true; SET TimeZone = 'UTC'; SELECT * FROM read_parquet(?)", [export])
    types = {column[0]: DUCKDB_TYPES.get(str(column[1])) for column in query.description}
    check_equal("type of the only other column", [name for name, ty in types.items() if ty is None], ["timestamp"])
    names = list(types)
    return check_rows((dict(zip(names, row)) for row in query.fetchall()), types, trace), len(names)


def by_pyarrow(export, trace):
    file = pyarrow.parquet.ParquetFile(export)
    table = file.read()
    kinds = {pyarrow.int64(): int, pyarrow.string(): str, pyarrow.bool_(): bool}
    types = {field.name: kinds.get(field.type, list) for field in table.schema}
    check_rows(table.to_pylist(), types, trace)
    for group in range(file.metadata.num_row_groups):
        columns = file.metadata.row_group(group)
        if {columns.column(index).compression for index in range(columns.num_columns)} != {"ZSTD"}:
            fail("a column is not compressed with zstd")
    about = {name.decode(): value.decode() for name, value in file.metadata.metadata.items()}
    header = json.loads(about["rmapscope.header"])
    offset = header["clock"]["realtime_offset"]
    micros = table["timestamp"].cast(pyarrow.int64()).to_pylist()
    check_equal("timestamps", micros, [(time + offset) // 1000 for time in table["time"].to_pylist()])
    check_equal("schema version", about["rmapscope.schema"], "1")
    check_equal("kernel in the header", header["kernel"]["release"], table["release"][0].as_py())
    check_equal("events of the summary", sum(json.loads(about["rmapscope.summary"])["events"].values()), len(trace.events))


def validate(export, trace):
    (events, losses), columns = by_duckdb(export, trace)
    by_pyarrow(export, trace)
    return f"{events} events and {losses} losses in {columns} columns, by DuckDB {duckdb.__version__} and pyarrow {pyarrow.__version__}"


main(validate)
