"""All rows of some tables, to be compared before and after."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from vna.index.database import Database

PARENTS = ("patient", "study", "series")
VISIBLE = (*PARENTS, "instance", "conflict", "location")


def dump(database: Database, *tables: str) -> dict[str, list[dict[str, Any]]]:
    """Every row as JSON, by table, in the order of their JSON."""
    with database.connection() as connection:
        return {
            table: [
                row
                for (row,) in connection.execute(
                    sql.SQL("SELECT to_jsonb(t) FROM {} t ORDER BY to_jsonb(t)::text").format(
                        sql.Identifier(table)
                    )
                )
            ]
            for table in tables
        }


def counts(database: Database, *tables: str) -> list[int]:
    """How many rows each table has."""
    return [len(rows) for rows in dump(database, *tables).values()]


def without(rows: list[dict[str, Any]], *columns: str) -> list[dict[str, Any]]:
    """The rows without some columns, ordered anew."""
    kept = [{name: row[name] for name in row if name not in columns} for row in rows]
    return sorted(kept, key=str)
