"""tests/index/test_trash.py on partitioned tables."""

from tests.index.test_trash import *  # noqa: F403
