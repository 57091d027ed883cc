"""tests/services/test_store.py on partitioned tables."""

from tests.services.test_store import *  # noqa: F403
