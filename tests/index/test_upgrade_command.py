"""`vna db upgrade`: what applies at once, and what waits for --post."""

from __future__ import annotations

import psycopg
from click.testing import CliRunner

from tests.index.version_8 import make_schema
from vna.cli import main
from vna.index.database import Database


def test_post_upgrades_wait_until_told_and_until_nobody_is_in_the_way(
    empty_database_url: str,
) -> None:
    with Database(empty_database_url) as database:
        make_schema(database)

    def run(*options: str) -> tuple[int, str]:
        variables = {"VNA__DATABASE__URL": empty_database_url}
        result = CliRunner().invoke(main, ["db", "upgrade", *options], env=variables)
        return result.exit_code, result.output

    code, said = run()
    assert code == 0
    assert "0009_pre_differences\n" in said
    assert "not yet, since older versions may serve: 0010_post_short_rows" in said
    with psycopg.connect(empty_database_url, application_name="vna/8"):
        code, said = run("--post")
        assert code == 1
        assert "upgrade or stop it" in said
    assert run("--post") == (0, "0010_post_short_rows\n")
    assert run("--post") == (0, "the schema is up to date\n")
