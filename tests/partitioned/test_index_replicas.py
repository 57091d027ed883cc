"""tests/index/test_replicas.py on partitioned tables."""

from tests.index.test_replicas import *  # noqa: F403
