"""Build the database from the configuration, for what needs nothing else of the archive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from vna.config import Config
from vna.errors import ConfigError
from vna.index.database import Database
from vna.index.embedded import EmbeddedPostgres


@contextmanager
def open_database(config: Config) -> Iterator[Database]:
    """Only the database, its schema as it is. Raises ConfigError, Unavailable."""
    with ExitStack() as stack:
        embedded = None
        if not config.database.url:
            embedded = stack.enter_context(EmbeddedPostgres.start(prepare_data_dir(config)))
        yield stack.enter_context(database_of(config, embedded))


def database_of(config: Config, embedded: EmbeddedPostgres | None) -> Database:
    """The configured database, or the one that `embedded` runs."""
    return Database(
        config.database.url if embedded is None else embedded.url,
        pool_size=config.database.pool_size,
        connect_timeout=config.database.connect_timeout,
    )


def prepare_data_dir(config: Config) -> Path:
    """The data directory, made if it is not there, as an absolute path. Raises ConfigError."""
    data_dir = config.archive.data_dir.expanduser().resolve()
    try:
        data_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(f"cannot make archive.data_dir {data_dir}: {exc.strerror}") from exc
    return data_dir
