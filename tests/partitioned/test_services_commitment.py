"""tests/services/test_commitment.py on partitioned tables."""

from tests.services.test_commitment import *  # noqa: F403
