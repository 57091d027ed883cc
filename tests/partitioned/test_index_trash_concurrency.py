"""tests/index/test_trash_concurrency.py on partitioned tables."""

import pytest

from tests.index.test_trash_concurrency import *  # noqa: F403
from vna.index import database as module


@pytest.fixture(autouse=True)
def _more_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transactions take longer here, and stand more often in each other's way four times in a row."""
    monkeypatch.setattr(module, "ATTEMPTS", 12)
