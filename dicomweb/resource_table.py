"""The table of all routes: what they do, take and give (PS3.18 chapters 8 to 10)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from dicomweb.media import (
    DICOM,
    DICOM_JSON,
    DICOM_XML,
    FRAME_TYPES,
    JSON,
    MULTIPART,
    OCTET_STREAM,
    ZIP,
)
from dicomweb.resources import Operation, Parameter
from dicomweb.trash import MOST as MOST_ENTRIES
from dicomweb.urls import ROOT
from vna.services.changes import MOST

WADL = "application/vnd.sun.wadl+xml"
OPENAPI = "application/vnd.oai.openapi+json"

STUDY = f"{ROOT}/studies/{{study}}"
SERIES = f"{STUDY}/series/{{series}}"
INSTANCE = f"{SERIES}/instances/{{instance}}"
FRAMES = f"{INSTANCE}/frames/{{numbers}}"

_COUNT = {"type": "integer", "minimum": 0}
_TRUTH = {"type": "string", "enum": ["true", "false", "yes", "no", "1", "0", ""]}
_FROM_1 = {"type": "integer", "minimum": 1, "maximum": 999_999_999}
_PERCENT = {"type": "integer", "minimum": 1, "maximum": 100}
_DATES = {"type": "string", "pattern": "^([0-9]{8}|[0-9]{8}-|-[0-9]{8}|[0-9]{8}-[0-9]{8})?$"}
_IMAGES = ("image/jpeg", "image/png", "image/gif", "video/mp4")
_DOCUMENTS = (
    *(
        "text/html",
        "text/plain",
        "application/pdf",
        "text/xml",
        "model/stl",
        "model/obj",
        "model/mtl",
    ),
    *("video/mpeg", "video/H265", "application/octet-stream"),
)

ACCEPT = Parameter("accept", "media types, instead of the Accept header")

_SEARCH = (
    ACCEPT,
    Parameter("PatientID", "any attribute of PS3.6 may be matched, by its keyword or tag"),
    Parameter("PatientName", "* and ? are wildcards; case does not count"),
    Parameter("StudyDate", "a date, or a range such as 20240101-20241231", _DATES),
    Parameter("ModalitiesInStudy", "a list, with commas between"),
    Parameter("StudyInstanceUID", "a list, with commas or backslashes between"),
    Parameter("includefield", "attributes to return beside those that always are, or all"),
    Parameter("fuzzymatching", "whether names match by sound and in any order", _TRUTH),
    Parameter("limit", "most matches in the answer; the archive's own maximum stands", _COUNT),
    Parameter("offset", "matches to leave out", _COUNT),
    Parameter("cursor", "where a page begins: only as a Link header gave it"),
)
_VIEWPORT = Parameter("viewport", "width,height[,x,y,width,height of the source]")
_RENDERING = (
    ACCEPT,
    _VIEWPORT,
    Parameter("window", "center,width,function"),
    Parameter("quality", "1 to 100, for lossy media types", _PERCENT),
    Parameter("annotation", "patient, technique: burnt into the image"),
    Parameter("iccprofile", "no, yes, srgb, adobergb, rommrgb or displayp3"),
    Parameter("charset", "character sets of a report, with commas between"),
)
_ZIP = Parameter("dicomdir", "whether a zip archive gets a DICOMDIR", _TRUTH)


def _multipart(*kinds: str) -> tuple[str, ...]:
    return tuple(f'{MULTIPART}; type="{kind}"' for kind in kinds)


_FRAMES = tuple(dict.fromkeys(kinds[0] for kinds in FRAME_TYPES.values()))
_OBJECTS = {"type": "array", "items": {"type": "object"}}

SEARCH = Operation(
    "Search: one object of attributes for each match.",
    "10.6",
    (DICOM_JSON, JSON, *_multipart(DICOM_XML)),
    parameters=_SEARCH,
    schema=_OBJECTS,
)
STORE = Operation(
    "Store instances: DICOM files, or metadata with their bulk data.",
    "10.5",
    (DICOM_JSON, DICOM_XML),
    (200, 202, 409, 503, 507),
    consumes=(*_multipart(DICOM, DICOM_JSON, DICOM_XML), DICOM),
    schema={"type": "object"},
)
RETRIEVE = Operation(
    "Retrieve instances, in any transfer syntax that they can be given in without loss.",
    "10.4.1.1.1",
    (*_multipart(DICOM), DICOM, ZIP),
    parameters=(ACCEPT, _ZIP),
)
METADATA = Operation(
    "Retrieve all attributes, with URLs in place of bulk data.",
    "10.4.1.1.2",
    (DICOM_JSON, JSON, *_multipart(DICOM_XML)),
    parameters=(ACCEPT,),
    schema=_OBJECTS,
)
BULK = Operation(
    "Retrieve bulk data.",
    "10.4.1.1.5",
    (OCTET_STREAM, *_FRAMES, *_multipart(OCTET_STREAM, *_FRAMES)),
    (200, 206),
    (ACCEPT,),
)
PIXELS = replace(BULK, text="Retrieve pixel data.", section="10.4.1.1.6")
ONE_FRAME = Operation(
    "Retrieve frames, a list of numbers with commas between.",
    "10.4.1.1.6",
    (*_multipart(OCTET_STREAM, *_FRAMES), OCTET_STREAM, *_FRAMES),
    parameters=(ACCEPT,),
)
RENDERED = Operation(
    "Retrieve as an image, a video or a document that a browser shows.",
    "10.4.1.1.3",
    (*_IMAGES, *_DOCUMENTS, *_multipart(*_IMAGES, *_DOCUMENTS)),
    (200, 206),
    _RENDERING,
)
THUMBNAIL = Operation(
    "Retrieve a small image that stands for it.",
    "10.4.1.1.4",
    _IMAGES[:3],
    parameters=(ACCEPT, _VIEWPORT),
)
DELETE = Operation(
    "Delete into the trash, from which it can be restored until its sweep.", statuses=(204,)
)
_CHANGE = {
    "type": "object",
    "required": ["number", "at", "action", "sop_instance_uid", "url"],
    "properties": {
        "number": {"type": "integer", "minimum": 1},
        "at": {"type": "string", "format": "date-time"},
        "action": {"enum": ["stored", "deleted", "restored"]},
        "study_instance_uid": {"type": "string"},
        "series_instance_uid": {"type": "string"},
        "sop_instance_uid": {"type": "string"},
        "url": {"type": "string"},
    },
}
CHANGES = Operation(
    "What was stored, deleted and restored, in an order to which only later changes are added.",
    produces=(JSON,),
    parameters=(
        ACCEPT,
        Parameter("after", "the number of the last change that is known", _COUNT),
        Parameter("limit", f"most changes in the answer, {MOST} in any case", _COUNT),
    ),
    schema={
        "type": "object",
        "required": ["changes", "oldest", "newest"],
        "properties": {
            "changes": {"type": "array", "items": _CHANGE},
            "oldest": {"type": "integer"},
            "newest": {"type": "integer"},
        },
    },
)
_ENTRY = {
    "type": "object",
    "required": ["entry", "deleted_at", "kept_until", "study_instance_uid", "instances", "url"],
    "properties": {
        "entry": {"type": "integer", "minimum": 1},
        "deleted_at": {"type": "string", "format": "date-time"},
        "kept_until": {"type": "string", "format": "date-time"},
        "deleted_by": {"type": "string"},
        "study_instance_uid": {"type": "string"},
        "series_instance_uid": {"type": "string"},
        "sop_instance_uid": {"type": "string"},
        "instances": _COUNT,
        "bytes": _COUNT,
        "is_being_swept": {"type": "boolean"},
        "url": {"type": "string"},
    },
}
TRASH = Operation(
    "What was deleted and can be restored, the oldest first; for those who may delete.",
    produces=(JSON,),
    parameters=(
        ACCEPT,
        Parameter("study", "a Study Instance UID, to see what was deleted of it"),
        Parameter("after", "the number of the last entry that is known", _COUNT),
        Parameter("limit", f"most entries in the answer, {MOST_ENTRIES} in any case", _COUNT),
    ),
    schema={
        "type": "object",
        "required": ["entries"],
        "properties": {"entries": {"type": "array", "items": _ENTRY}},
    },
)
_RESTORED = ("restored", "duplicates", "conflicts")
RESTORE = Operation(
    "Restore an entry of the trash, as though its instances were stored once more.",
    produces=(JSON,),
    schema={
        "type": "object",
        "required": list(_RESTORED),
        "properties": dict.fromkeys(_RESTORED, _COUNT),
    },
)
_UID = {"type": "string", "maxLength": 64}
WADO = Operation(
    "Retrieve one object by the URI service.",
    "9.1",
    (*_IMAGES, DICOM, *_DOCUMENTS),
    (200, 206),
    (
        Parameter("requestType", "always WADO", {"const": "WADO"}, is_required=True),
        Parameter("studyUID", "of the object", _UID, is_required=True),
        Parameter("seriesUID", "of the object", _UID, is_required=True),
        Parameter("objectUID", "its SOP Instance UID", _UID, is_required=True),
        Parameter("contentType", "media types, with commas between"),
        Parameter("charset", "character sets, with commas between"),
        Parameter("anonymize", "yes: an image without all that tells who the patient is"),
        Parameter("annotation", "patient, technique: burnt into the image"),
        Parameter("rows", "most pixels from top to bottom", _FROM_1),
        Parameter("columns", "most pixels from left to right", _FROM_1),
        Parameter("region", "left,top,right,bottom as fractions"),
        Parameter("windowCenter", "with windowWidth", {"type": "number"}),
        Parameter("windowWidth", "with windowCenter", {"type": "number"}),
        Parameter("frameNumber", "from 1", _FROM_1),
        Parameter("imageQuality", "1 to 100, for lossy media types", _PERCENT),
        Parameter("presentationUID", "the SOP Instance UID of a presentation state"),
        Parameter("presentationSeriesUID", "its series"),
        Parameter("transferSyntax", "of a DICOM object"),
    ),
)
CAPABILITIES = Operation(
    "What this service can do: its resources, methods and media types.", "8.9", (WADL, JSON)
)
_OF_PROCESS = {"type": "object", "properties": {"status": {"type": "string"}}}
_OUTSIDE = {
    ("GET", "/healthz"): Operation(
        "Whether the process lives.", produces=(JSON,), schema=_OF_PROCESS
    ),
    ("GET", "/readyz"): Operation(
        "Whether database and storage could serve now.",
        produces=(JSON,),
        statuses=(200, 503),
        schema=_OF_PROCESS,
    ),
    ("GET", "/metrics"): Operation("Metrics for Prometheus.", produces=("text/plain",)),
}


def _rows() -> Iterator[tuple[tuple[str, str], Operation]]:
    for path in (f"{ROOT}/studies", f"{ROOT}/series", f"{ROOT}/instances"):
        yield ("GET", path), SEARCH
    for path in (f"{STUDY}/series", f"{STUDY}/instances", f"{SERIES}/instances"):
        yield ("GET", path), SEARCH
    for path in (f"{ROOT}/studies", STUDY):
        yield ("POST", path), STORE
    for path in (STUDY, SERIES, INSTANCE):
        yield ("GET", path), RETRIEVE
        yield ("DELETE", path), DELETE
        yield ("GET", f"{path}/metadata"), METADATA
        yield ("GET", f"{path}/bulkdata"), BULK
        yield ("GET", f"{path}/pixeldata"), PIXELS
    yield ("GET", f"{INSTANCE}/bulkdata/{{path}}"), BULK
    yield ("GET", FRAMES), ONE_FRAME
    for path in (STUDY, SERIES, INSTANCE, FRAMES):
        yield ("GET", f"{path}/rendered"), RENDERED
        yield ("GET", f"{path}/thumbnail"), THUMBNAIL
    for path in (f"{ROOT}/wado", "/wado"):
        yield ("GET", path), WADO
    yield ("GET", f"{ROOT}/changes"), CHANGES
    yield ("GET", f"{ROOT}/trash"), TRASH
    yield ("PUT", f"{ROOT}/trash/{{entry}}/restored"), RESTORE
    for method in ("GET", "OPTIONS"):
        yield (method, f"{ROOT}/"), CAPABILITIES
    openapi = "This service in the words of OpenAPI 3.1."
    yield (
        ("GET", f"{ROOT}/openapi.json"),
        Operation(openapi, produces=(JSON, OPENAPI), schema={"type": "object"}),
    )


TABLE: Mapping[tuple[str, str], Operation] = {**dict(_rows()), **_OUTSIDE}
"""By method and route, its variables in braces."""
