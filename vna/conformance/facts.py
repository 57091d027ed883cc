"""The single facts of the statement that stand inside its sentences."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from vna import __version__
from vna.audit import AuditAction
from vna.config import Config
from vna.conformance.associations import storage_support
from vna.conformance.classes import restricted_example, title
from vna.conformance.queries import unmatched_keywords
from vna.conformance.table import listed, yes
from vna.dicom.extraction import WITHOUT_FUNCTIONAL_GROUPS
from vna.dicom.frame_keys import KEYWORDS
from vna.dicom.matching import MAX_ALTERNATIVES
from vna.dicom.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from vna.dimse.assembly import MAX_COMMAND_LENGTH
from vna.dimse.commitment_scu import MAX_REPORT_LENGTH, PUSH_MODEL_INSTANCE, REQUEST_COMMITMENT
from vna.dimse.handshake import MAX_CONTEXTS
from vna.dimse.pdu import APPLICATION_CONTEXT_NAME
from vna.dimse.stream import MAX_ASSOCIATE_LENGTH
from vna.dimse.tls import CIPHERS, Credentials, client_context
from vna.scp.commitment import MAX_REQUEST_BYTES
from vna.scp.identifier import MAX_IDENTIFIER_BYTES, MAX_KEYS
from vna.scp.mover import GRACE, TICK
from vna.scp.policy import IDENTIFIER_SYNTAXES
from vna.scp.suboperations import MAX_COUNT, MAX_FAILED_UIDS
from vna.scp.waiting import ROOM, ROOM_PER_ADDRESS

_SECTIONS = ("archive", "dimse", "web", "commitment", "trash")


def facts_of(config: Config) -> dict[str, str]:
    """Name -> text: `section.key` of the configuration, `module_word` of a constant."""
    return {**dict(_configured(config)), **_fixed(), **_security(config)}


def _configured(config: Config) -> Iterator[tuple[str, str]]:
    for section in _SECTIONS:
        part = getattr(config, section)
        for key in dataclasses.fields(part):
            value = getattr(part, key.name)
            if isinstance(value, bool):
                yield f"{section}.{key.name}", yes(value)
            elif isinstance(value, (int, float)):
                yield (
                    f"{section}.{key.name}",
                    str(int(value)) if value == int(value) else f"{value:g}",
                )
            elif isinstance(value, str):
                yield f"{section}.{key.name}", value or "none"


def _fixed() -> dict[str, str]:
    return {
        "version": __version__,
        "implementation_class_uid": IMPLEMENTATION_CLASS_UID,
        "implementation_version_name": IMPLEMENTATION_VERSION_NAME,
        "application_context": APPLICATION_CONTEXT_NAME,
        "identifier_syntaxes": " and ".join(IDENTIFIER_SYNTAXES),
        "storage_support": storage_support(),
        "restricted_context": restricted_example(),
        "unmatched_keys": unmatched_keywords(),
        "frame_keys": listed(KEYWORDS.values()),
        "frame_classes": listed(map(title, sorted(WITHOUT_FUNCTIONAL_GROUPS))),
        "max_contexts": str(MAX_CONTEXTS),
        "max_command": _size(MAX_COMMAND_LENGTH),
        "max_associate": _size(MAX_ASSOCIATE_LENGTH),
        "max_identifier": _size(MAX_IDENTIFIER_BYTES),
        "max_keys": str(MAX_KEYS),
        "max_alternatives": str(MAX_ALTERNATIVES),
        "max_commitment_request": _size(MAX_REQUEST_BYTES),
        "max_commitment_report": _size(MAX_REPORT_LENGTH),
        "push_model_instance": PUSH_MODEL_INSTANCE,
        "request_commitment": str(REQUEST_COMMITMENT),
        "max_count": str(MAX_COUNT),
        "max_failed_uids": str(MAX_FAILED_UIDS),
        "cancel_ms": f"{(TICK + GRACE) * 1000:g}",
        "waiting_room": str(ROOM),
        "waiting_room_per_address": str(ROOM_PER_ADDRESS),
    }


def _security(config: Config) -> dict[str, str]:
    tls = config.dimse.tls
    least = client_context(Credentials()).minimum_version.name
    return {
        "tls_least": least.replace("v", " ").replace("_", "."),
        "tls_ciphers": listed(CIPHERS.split(":")),
        "tls_port": str(tls.port or "none"),
        "tls_mutual": yes(bool(tls.port and tls.ca)),
        "tls_only": yes(bool(tls.port and tls.only)),
        "audit_actions": listed(f"`{action.value}`" for action in AuditAction),
        "known_ae_titles": listed(
            config.dimse.known_ae_titles, "none listed" if config.dimse.peers else "any"
        ),
        "issuer": config.archive.issuer_of_patient_id or "none",
        "timezone": config.archive.timezone or "not set",
        "identity_required": yes(config.dimse.identity.required),
        "web_checks_users": yes(bool(config.web.users)),
    }


def _size(number: int) -> str:
    for unit, factor in (("MiB", 2**20), ("KiB", 2**10)):
        if number % factor == 0:
            return f"{number // factor} {unit}"
    return f"{number} bytes"
