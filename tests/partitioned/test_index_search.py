"""tests/index/test_search.py on partitioned tables."""

from tests.index.test_search import *  # noqa: F403
