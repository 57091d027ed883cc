"""tests/services/test_rebuild.py on partitioned tables."""

from tests.services.test_rebuild import *  # noqa: F403
