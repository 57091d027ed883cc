"""The entry point of gunicorn: builds the archive of this process and its gateway."""

from __future__ import annotations

import atexit
import os
from collections.abc import Mapping
from pathlib import Path

from flask import Flask

from dicomweb.app import create_app
from vna.bootstrap import build
from vna.config import Config, check_exposure, load_config
from vna.logs import configure_logging


def create_from_environment() -> Flask:
    """The gateway configured by VNA_CONFIG (a TOML file) and VNA__SECTION__KEY variables.

    Raises ConfigError, Unavailable: gunicorn then ends with the message in its log.
    """
    config = configured(os.environ)
    check_exposure(config, "web")
    configure_logging(config.log)
    archive = build(config)
    atexit.register(archive.close)
    return create_app(archive, config.web)


def configured(environment: Mapping[str, str]) -> Config:
    """The configuration that these variables name. Raises ConfigError."""
    path = environment.get("VNA_CONFIG")
    return load_config(Path(path) if path else None, environment)
