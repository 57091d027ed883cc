"""tests/index/test_metadata_documents.py on partitioned tables."""

from tests.index.test_metadata_documents import *  # noqa: F403
