"""Every metric of the archive, declared once; docs/operations.md explains each."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

INSTANCES_RECEIVED = Counter(
    "vna_instances_received_total", "Instances received, by door and outcome", ["door", "outcome"]
)
BYTES_RECEIVED = Counter(
    "vna_bytes_received_total",
    "Bytes of received instances, by door and outcome",
    ["door", "outcome"],
)
STORE_SECONDS = Histogram(
    "vna_store_seconds", "From complete reception to the durable store", ["door"], buckets=_SECONDS
)
QUERY_SECONDS = Histogram(
    "vna_query_seconds", "From query to its last record", ["door", "level"], buckets=_SECONDS
)
INSTANCES_DELIVERED = Counter(
    "vna_instances_delivered_total", "Instances sent out whole, by door", ["door"]
)
OPEN_ASSOCIATIONS = Gauge(
    "vna_open_associations", "DICOM associations open now", multiprocess_mode="livesum"
)
ASSOCIATIONS = Counter(
    "vna_associations_total", "DICOM associations, by how they ended or why not begun", ["result"]
)
DIMSE_SECONDS = Histogram(
    "vna_dimse_seconds", "From DIMSE request to final response", ["service"], buckets=_SECONDS
)
HTTP_SECONDS = Histogram(
    "vna_http_seconds",
    "From HTTP request to the end of its response",
    ["route", "status"],
    buckets=_SECONDS,
)
JOBS = Gauge(
    "vna_jobs", "Background jobs, by name and state", ["job", "state"], multiprocess_mode="livemax"
)
JOBS_DONE = Counter(
    "vna_jobs_done_total", "Runs of background jobs, by name and outcome", ["job", "outcome"]
)
JOB_SECONDS = Histogram(
    "vna_job_seconds", "Runs of background jobs that went well", ["job"], buckets=_SECONDS
)
COMMITMENTS = Counter(
    "vna_commitments_total",
    "Storage commitment requests that came to an end, by outcome",
    ["outcome"],
)
DECODERS = Gauge("vna_decoders", "Processes now that decode pixels", multiprocess_mode="livesum")
DECODING_SECONDS = Histogram(
    "vna_decoding_seconds", "Calls of decoder processes", ["function"], buckets=_SECONDS
)
DECODER_FAILURES = Counter(
    "vna_decoder_failures_total",
    "Calls of decoder processes without an answer, by reason",
    ["reason"],
)
INSTANCES_DELETED = Counter(
    "vna_instances_deleted_total", "Instances moved into the trash, by door", ["door"]
)
INSTANCES_RESTORED = Counter("vna_instances_restored_total", "Instances restored from the trash")
TRASH_SWEPT = Counter(
    "vna_trash_swept_total", "Instances and conflicting versions removed for good by sweeps"
)
METADATA_DOCUMENTS = Counter(
    "vna_metadata_documents_total",
    "Metadata documents of series that were needed, by where they came from",
    ["source"],
)
RENDERED_IMAGES = Counter(
    "vna_rendered_images_total",
    "Images and films that were shown, by media type and where they came from",
    ["media_type", "source"],
)
MIGRATED_STUDIES = Counter(
    "vna_migrated_studies_total",
    "Studies that a worker let go of, by campaign and state",
    ["campaign", "state"],
)
MIGRATED_INSTANCES = Counter(
    "vna_migrated_instances_total",
    "Instances that were judged, by campaign and state",
    ["campaign", "state"],
)
STORAGE_SECONDS = Histogram(
    "vna_storage_seconds",
    "Calls of the storage backend",
    ["backend", "operation"],
    buckets=_SECONDS,
)
STORAGE_BYTES = Counter(
    "vna_storage_bytes_total", "Bytes through the storage backend", ["backend", "operation"]
)
OBJECTS_VERIFIED = Counter(
    "vna_objects_verified_total", "Objects compared with the index", ["kind"]
)
BYTES_VERIFIED = Counter("vna_verified_bytes_total", "Bytes of objects that were read for that")
STORAGE_FAULTS = Counter(
    "vna_storage_faults_total", "What verification found and did not repair", ["fault"]
)
READS_FROM_COPIES = Counter(
    "vna_reads_from_copies_total",
    "Reads that a copy had to answer since the location could not, by the backend of the copy",
    ["backend"],
)
COPIES_DONE = Counter(
    "vna_copies_total", "Copies and healed objects, by backend and outcome", ["backend", "outcome"]
)
COPIES_DUE = Gauge(
    "vna_copies_due",
    "Copies to be written and objects to be healed, by backend",
    ["backend"],
    multiprocess_mode="livemax",
)
COPIES_OLDEST = Gauge(
    "vna_copies_oldest_seconds",
    "For how long the oldest of them has waited",
    ["backend"],
    multiprocess_mode="livemax",
)
VERIFIED_SHARE = Gauge(
    "vna_verified_share",
    "Share of the objects of a backend that the last whole reading, or the one under way, has read",
    ["backend"],
    multiprocess_mode="livemax",
)
VERIFIED_SINCE = Gauge(
    "vna_verified_since_seconds",
    "When the last whole reading of a backend began: what is older was read since",
    ["backend"],
    multiprocess_mode="livemax",
)
OBJECTS_DRAINED = Counter(
    "vna_objects_drained_total",
    "Objects that had to leave a backend, by what became of them",
    ["backend", "outcome"],
)
STORAGE_ERRORS = Counter(
    "vna_storage_errors_total",
    "Failed calls of the storage backend",
    ["backend", "operation", "error"],
)
