"""tests/index/test_trash_concurrency.py on partitioned tables."""

from tests.index.test_trash_concurrency import *  # noqa: F403
