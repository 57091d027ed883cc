"""tests/index/test_known_parents.py on partitioned tables."""

from tests.index.test_known_parents import *  # noqa: F403
