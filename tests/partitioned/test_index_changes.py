"""tests/index/test_changes.py on partitioned tables."""

from tests.index.test_changes import *  # noqa: F403
