"""tests/index/test_concurrency.py on partitioned tables."""

from tests.index.test_concurrency import *  # noqa: F403
