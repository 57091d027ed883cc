"""What every rehearsal begins with."""

from __future__ import annotations

from tests.interop.conftest import network

__all__ = ["network"]
