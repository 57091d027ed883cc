"""tests/services/test_retrieve.py on partitioned tables."""

from tests.services.test_retrieve import *  # noqa: F403
