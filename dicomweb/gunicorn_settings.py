"""Settings of gunicorn for the gateway; `vna serve` adds address, workers and threads."""

from __future__ import annotations

from typing import Any

from gunicorn.http import message

import dicomweb.wsgi  # noqa: F401 – loaded here, in the master, so that its workers share the memory
from vna.processes import (
    ArchiveLogger,
    forget_metrics_of,
    leave_interrupts_to_parent,
    share_memory,
)

MAX_REQUEST_LINE = 64 * 1024
"""In bytes: a search for a thousand UIDs is one line. gunicorn knows 8 KiB or no bound at all."""

message.MAX_REQUEST_LINE = MAX_REQUEST_LINE

worker_class = "dicomweb.worker.GatewayWorker"
forwarder_headers = (
    ""  # nobody in front tells this gateway where it is mounted: web.public_url does
)
forwarded_allow_ips = ""  # nor which scheme clients use: web.trusted_proxies do
limit_request_line = MAX_REQUEST_LINE
keepalive = 75
timeout = 120
worker_tmp_dir = "/dev/shm"  # noqa: S108 – heartbeats must never wait for a disk
accesslog = None
control_socket_disable = True  # it lies in the home directory, where two archives would meet
logger_class = ArchiveLogger
loglevel = "warning"
pre_fork = share_memory


def child_exit(server: Any, worker: Any) -> None:
    """Called by gunicorn's master when a worker has ended."""
    forget_metrics_of(server, worker)
    worker.place.leave()


when_ready = leave_interrupts_to_parent
post_worker_init = leave_interrupts_to_parent
