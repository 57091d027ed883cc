"""tests/index/test_registering.py on partitioned tables."""

from tests.index.test_registering import *  # noqa: F403
