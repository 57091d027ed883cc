"""tests/index/test_selections.py on partitioned tables."""

from tests.index.test_selections import *  # noqa: F403
