"""What processes used is read right from /proc."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.peers import usage

# A child works, ends and is waited for; the parent then tells and waits for the end of its input.
_WORK = """
import subprocess, sys
subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < 0.3: pass"])
print("done", flush=True)
sys.stdin.read()
"""


def test_time_of_children_that_ended_counts() -> None:
    command = [sys.executable, "-c", _WORK]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert usage.tree([process.pid]) == [process.pid]
        assert usage.cpu_seconds([process.pid]) >= 0.25
        assert usage.pss_bytes([process.pid]) > 2**20
        assert usage.peak_resident_bytes(process.pid) >= usage.pss_bytes([process.pid])


def test_a_tree_holds_each_process_once() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        found = usage.tree([os.getpid(), child.pid])
        child.kill()
    assert found.count(child.pid) == 1
    assert found.count(os.getpid()) == 1


def test_a_process_that_is_gone_used_nothing() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    assert usage.cpu_seconds([child.pid]) == 0
    assert usage.pss_bytes([child.pid]) == 0
    assert usage.peak_resident_bytes(child.pid) == 0
