"""The manifest's schema, declared once: its columns, since when each is there, and the check of every table read."""

import dataclasses
from functools import cache
from typing import TYPE_CHECKING, Final

from img2gps.errors import InvalidDatasetError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COLUMNS", "REBUILD", "SCHEMA_VERSION", "Column", "arrow_schema", "checked_table", "columns_of"]

SCHEMA_VERSION: Final = 2
REBUILD: Final = "restore manifest.parquet from a backup, or ingest the sources again"
"""What to do about a manifest that breaks its schema, for messages."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its Arrow type by name (`pyarrow` type factories), and whether it may hold nulls.

    `since` is the schema version that introduced it. Files of an earlier schema lack it, and read as nulls there: every
    column after the first version is nullable.
    """

    name: str
    kind: str
    nullable: bool = False
    since: int = 1


def _columns(*rows: tuple[str, str] | tuple[str, str, int]) -> tuple[Column, ...]:
    return tuple(
        Column(name=name.rstrip("?"), kind=kind, nullable=name.endswith("?"), since=since[0] if since else 1)
        for name, kind, *since in rows
    )


COLUMNS: Final = _columns(
    ("id", "string"),
    ("file_name", "string"),
    ("photo_sha256", "string"),
    ("geometry", "binary"),
    ("gps_source", "string"),
    ("gps_accuracy_m?", "float64"),
    ("gps_dop?", "float64"),
    ("gps_status?", "string", 2),
    ("gps_method?", "string", 2),
    ("captured_at?", "timestamp"),
    ("utc_offset_min?", "int32"),
    ("time_source?", "string"),
    ("clock_local?", "string", 2),
    ("clock_offset_min?", "int32", 2),
    ("gps_at?", "timestamp", 2),
    ("fix_age_s?", "float64"),
    ("heading_deg?", "float64"),
    ("heading_ref?", "string"),
    ("declination_deg?", "float64", 2),
    ("altitude_m?", "float64"),
    ("make?", "string"),
    ("model?", "string"),
    ("device", "string"),
    ("width", "int32"),
    ("height", "int32"),
    ("phash", "string"),
    ("source_name", "string"),
    ("bytes", "int64"),
    ("site_relation", "string"),
    ("flags", "strings"),
    ("traits?", "strings", 2),
    ("walk", "string"),
    ("burst?", "string"),
    ("group", "string"),
    ("split?", "string"),
    ("split_reason?", "string"),
    ("fold?", "int32"),
    ("ingested_at", "timestamp"),
    ("ingest", "string"),
)
"""The schema, in file order; a trailing ``?`` marks the nullable ones, a number the schema version that added one."""


@cache
def arrow_schema() -> "pa.Schema":
    """Return the schema as Arrow has it."""
    import pyarrow as pa

    types = {
        "string": pa.string(),
        "binary": pa.binary(),
        "float64": pa.float64(),
        "int32": pa.int32(),
        "int64": pa.int64(),
        "timestamp": pa.timestamp("us", tz="UTC"),
        "strings": pa.list_(pa.string()),
    }
    return pa.schema([pa.field(column.name, types[column.kind], column.nullable) for column in COLUMNS])


def columns_of(schema_version: int) -> list[Column]:
    """Return the columns that files of a schema version have."""
    return [column for column in COLUMNS if column.since <= schema_version]


def checked_table(table: "pa.Table", where: str, schema_version: int) -> "pa.Table":
    """Return a table of a schema version with all of `COLUMNS` in order; `where` is the file, for messages.

    Raises InvalidDatasetError naming the column, and what is wrong with it, where the table breaks the schema.
    """
    schema = arrow_schema()
    for column in columns_of(schema_version):
        if column.name not in table.column_names:
            raise InvalidDatasetError(f"{where} lacks the column {column.name}: {REBUILD}.")
        expected, found = schema.field(column.name).type, table.schema.field(column.name).type
        if expected != found:
            raise InvalidDatasetError(f"{where} has the column {column.name} as {found}, not {expected}: {REBUILD}.")
        nulls = table.column(column.name).null_count
        if nulls and not column.nullable:
            raise InvalidDatasetError(f"{where} has {nulls} empty values in the column {column.name}: {REBUILD}.")
    if len(table.column("id").unique()) != len(table):
        raise InvalidDatasetError(f"{where} has the same photo twice in the column id: {REBUILD}.")
    return _completed(table, schema_version)


def _completed(table: "pa.Table", schema_version: int) -> "pa.Table":
    """Return the table with all of `COLUMNS` in order: nulls in those that its schema version did not have yet."""
    import pyarrow as pa

    schema = arrow_schema()
    arrays = [
        table.column(column.name)
        if column.since <= schema_version
        else pa.chunked_array([pa.nulls(table.num_rows, schema.field(column.name).type)])
        for column in COLUMNS
    ]
    return pa.Table.from_arrays(arrays, schema=schema.with_metadata(table.schema.metadata))
