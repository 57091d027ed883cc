"""tests/services/test_draining.py on partitioned tables."""

from tests.services.test_draining import *  # noqa: F403
