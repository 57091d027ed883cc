"""tests/index/test_audit.py on partitioned tables."""

from tests.index.test_audit import *  # noqa: F403
