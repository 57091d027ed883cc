"""tests/services/test_frames.py on partitioned tables."""

from tests.services.test_frames import *  # noqa: F403
