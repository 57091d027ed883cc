"""tests/services/test_trash.py on partitioned tables."""

from tests.services.test_trash import *  # noqa: F403
