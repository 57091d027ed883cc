"""tests/services/test_verification.py on partitioned tables."""

from tests.services.test_verification import *  # noqa: F403
