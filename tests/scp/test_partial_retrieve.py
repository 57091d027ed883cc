"""Retrieve Without Bulk Data, and whole instances and frames by Composite Instance Root Retrieve (PS3.4 Y, Z)."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from tests import samples
from tests.scp.site import Destination, Site, associate
from tests.scp.test_get import counters_of
from vna.dicom.part10 import file_meta
from vna.dimse import scu
from vna.dimse.command import Command
from vna.dimse.message import Message
from vna.dimse.negotiation import RoleSelection
from vna.scp.policy import Model

WITHOUT_BULK_DATA = f"{Model.WITHOUT_BULK_DATA}.3"
ROOT_MOVE, ROOT_GET = f"{Model.COMPOSITE_ROOT}.2", f"{Model.COMPOSITE_ROOT}.3"
EXPLICIT, IMPLICIT, BIG, JPEG = (
    samples.EXPLICIT,
    samples.IMPLICIT,
    samples.BIG_ENDIAN,
    samples.JPEG_BASELINE,
)
MULTI = samples.MULTIFRAME_CAPTURE
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
TILED = "1.2.840.10008.5.1.4.1.1.77.1.6"
UID = "1.2.3.4"
SYNTAXES = (EXPLICIT, IMPLICIT, JPEG, BIG)


def keep(site: Site, file: bytes) -> bytes:
    """Store a Part 10 file in its own syntax; its dataset."""
    header = pydicom.dcmread(io.BytesIO(file), stop_before_pixels=True)
    sop_class, syntax = str(header.SOPClassUID), str(header.file_meta.TransferSyntaxUID)
    dataset = file[144 + int.from_bytes(file[140:144], "little") :]
    with associate(site, (sop_class, (syntax,))) as association:
        context = association.context_for(sop_class)
        instance = scu.Instance(sop_class, str(header.SOPInstanceUID))
        assert scu.store(association, context, instance, dataset).status == 0
    return dataset


def get(
    site: Site,
    service: str,
    keys: Mapping[str, samples.Value],
    sop_class: str = MULTI,
    syntaxes: Sequence[str] = SYNTAXES,
) -> tuple[Command, list[Dataset]]:
    """The final response, and what came."""
    contexts = [(service, (EXPLICIT,)), *((sop_class, (syntax,)) for syntax in syntaxes)]
    came: list[Dataset] = []

    def on_store(message: Message) -> int:
        uid = message.command.affected_sop_instance_uid
        data = file_meta(sop_class, uid, message.context.transfer_syntax) + message.read_data(2**30)
        came.append(pydicom.dcmread(io.BytesIO(data)))
        assert came[-1].SOPInstanceUID == uid
        return 0

    role = RoleSelection(sop_class, scu=False, scp=True)
    with associate(site, *contexts, roles=[role]) as association:
        final = list(scu.get(association, service, samples.dataset(keys), on_store))[-1]
    return final.command, came


IMAGE = {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": UID}


def frame_keys(**keys: samples.Value) -> dict[str, samples.Value]:
    return {"QueryRetrieveLevel": "FRAME", "SOPInstanceUID": UID, **keys}


@pytest.mark.parametrize("stored", [EXPLICIT, IMPLICIT, BIG, samples.DEFLATED])
@pytest.mark.parametrize("taken", [EXPLICIT, IMPLICIT])
def test_bulk_data_stays_behind_and_all_else_comes(site: Site, stored: str, taken: str) -> None:
    elements: dict[Any, Any] = {
        **samples.identity(SOPInstanceUID=UID, SOPClassUID=MULTI),
        **samples.image(4, 4, 2, 16),
        "IconImageSequence": [
            {**samples.image(1, 2), "PixelData": samples.Typed("OB", b"ic")},
        ],
        "WaveformSequence": [
            {
                "NumberOfWaveformChannels": 2,
                "WaveformData": samples.Typed("OW", bytes(64)),
                "WaveformBitsAllocated": 16,
            }
        ],
        0x60003000: samples.Typed("OW", bytes(8)),
        0x60000010: samples.Typed("US", 4),
        "EncapsulatedDocument": samples.Typed("OB", bytes(10)),
        "PixelData": samples.Typed("OW", bytes(64)),
        0xFFFCFFFC: samples.Typed("OB", bytes(4)),
    }
    keep(site, samples.part10(elements, stored))
    final, (came,) = get(site, WITHOUT_BULK_DATA, IMAGE, syntaxes=[taken])
    assert final.status == 0
    assert counters_of(final) == (None, 1, 0, 0)
    assert {"PixelData", "EncapsulatedDocument"} & set(came.dir()) == set()
    assert 0x60003000 not in came
    assert came[0x60000010].value == 4
    assert came.IconImageSequence[0].PixelData == b"ic"
    assert "WaveformData" not in came.WaveformSequence[0]
    assert came.WaveformSequence[0].WaveformBitsAllocated == 16
    assert came.WaveformSequence[0].NumberOfWaveformChannels == 2
    assert came.PatientName == "Doe^Jane"
    assert 0xFFFCFFFC in came


def test_a_compressed_image_comes_without_its_pixels_in_its_own_syntax_too(site: Site) -> None:
    file = samples.encapsulated([[b"no JPEG "]], SOPInstanceUID=UID)
    keep(site, file)
    for syntax in (JPEG, EXPLICIT):
        final, (came,) = get(site, WITHOUT_BULK_DATA, IMAGE, syntaxes=[syntax])
        assert final.status == 0
        assert "PixelData" not in came
        assert came.Rows == 4


@pytest.mark.parametrize("service", [WITHOUT_BULK_DATA, ROOT_GET])
@pytest.mark.parametrize(
    "keys",
    [
        {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2"},
        {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": ""},
        {"SOPInstanceUID": UID},
    ],
)
def test_only_instances_can_be_asked_for(
    site: Site, service: str, keys: Mapping[str, samples.Value]
) -> None:
    keep(site, samples.multiframe(SOPInstanceUID=UID))
    final, came = get(site, service, keys)
    assert final.status == 0xA900
    assert came == []


def test_whole_instances_come_as_they_are_stored(site: Site) -> None:
    keep(site, samples.multiframe(SOPInstanceUID=UID))
    keep(site, samples.multiframe(SOPInstanceUID="1.2.3.5"))
    keys = {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": [UID, "1.2.3.5"]}
    final, came = get(site, ROOT_GET, keys)
    assert counters_of(final) == (None, 2, 0, 0)
    assert {str(dataset.SOPInstanceUID) for dataset in came} == {UID, "1.2.3.5"}


@pytest.mark.parametrize(
    ("syntax", "bits"), [(EXPLICIT, 8), (EXPLICIT, 16), (IMPLICIT, 8), (IMPLICIT, 16), (BIG, 16)]
)
def test_frames_make_a_new_instance(site: Site, syntax: str, bits: int) -> None:
    file = samples.multiframe(
        7, bits=bits, transfer_syntax_uid=syntax, SOPInstanceUID=UID, FrameTime="40"
    )
    keep(site, file)
    source = pydicom.dcmread(io.BytesIO(file))
    final, (came,) = get(site, ROOT_GET, frame_keys(SimpleFrameList=[2, 4, 6]))
    assert final.status == 0
    assert counters_of(final) == (None, 1, 0, 0)
    size = 16 * bits // 8
    assert came.PixelData == b"".join(
        source.PixelData[n * size : (n + 1) * size] for n in (1, 3, 5)
    )
    assert (came.NumberOfFrames, came.Rows, came.SOPClassUID) == (3, 4, MULTI)
    assert came.SOPInstanceUID != UID
    assert came.StudyInstanceUID == source.StudyInstanceUID
    assert came.SeriesInstanceUID == source.SeriesInstanceUID
    assert came.FrameTime == 80
    (extraction,) = came.FrameExtractionSequence
    assert extraction.MultiFrameSourceSOPInstanceUID == UID
    assert list(extraction.SimpleFrameList) == [2, 4, 6]
    (equipment,) = came.ContributingEquipmentSequence
    assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109105"


def test_asking_again_gives_the_same_instance(site: Site) -> None:
    keep(site, samples.multiframe(7, SOPInstanceUID=UID))
    keys = frame_keys(CalculatedFrameList=[2, 0xFFFFFFFF, 3])
    first, second = (get(site, ROOT_GET, keys)[1][0] for _ in range(2))
    assert first == second
    assert first.NumberOfFrames == 2
    other = get(site, ROOT_GET, frame_keys(SimpleFrameList=[2, 5]))[1][0]
    assert other.PixelData == first.PixelData
    assert other.SOPInstanceUID != first.SOPInstanceUID


def test_single_bits_are_joined_without_gaps(site: Site) -> None:
    file = samples.multiframe(5, rows=3, columns=3, bits=1, SOPInstanceUID=UID)
    keep(site, file)
    _, (came,) = get(site, ROOT_GET, frame_keys(SimpleFrameList=[1, 3, 4]))
    bits = int.from_bytes(pydicom.dcmread(io.BytesIO(file)).PixelData, "little")
    frames = [bits >> 9 * n & 0x1FF for n in (0, 2, 3)]
    expected = frames[0] | frames[1] << 9 | frames[2] << 18
    assert int.from_bytes(came.PixelData, "little") == expected


def test_compressed_frames_stay_compressed(site: Site) -> None:
    parts = [[b"\xff\xd8\xff1 ", b"2 "], [b"\xff\xd8\xff3 "], [b"\xff\xd8\xff4 ", b"5 "]]
    keep(site, samples.encapsulated(parts, SOPInstanceUID=UID))
    _, (came,) = get(site, ROOT_GET, frame_keys(SimpleFrameList=[1, 3]))
    assert came.file_meta.TransferSyntaxUID == JPEG
    frames = list(pydicom.encaps.generate_frames(came.PixelData, number_of_frames=2))
    assert frames == [b"\xff\xd8\xff1 2 ", b"\xff\xd8\xff4 5 "]
    assert list(struct.unpack("<2I", came.PixelData[8:16])) == [0, 23]


def enhanced(frames: int, **overrides: Any) -> bytes:
    groups: Any = [
        {
            "FrameContentSequence": [
                {
                    "FrameReferenceDateTime": f"2024013112000{n}.5",
                    "FrameAcquisitionNumber": n + 1,
                }
            ]
        }
        for n in range(frames)
    ]
    return samples.multiframe(
        frames,
        SOPInstanceUID=UID,
        SOPClassUID=ENHANCED_CT,
        ContentDate="20240131",
        ContentTime="120000",
        ConcatenationUID="1.2.9",
        PerFrameFunctionalGroupsSequence=groups,
        **overrides,
    )


@pytest.mark.parametrize(
    ("keys", "numbers"),
    [
        ({"SimpleFrameList": [3]}, [3]),
        ({"CalculatedFrameList": [1, 2, 1, 4, 99, 2]}, [1, 2, 4]),
        ({"TimeRange": [1.5, 2.5]}, [2, 3]),
    ],
)
def test_functional_groups_follow_their_frames(
    site: Site, keys: Mapping[str, samples.Value], numbers: list[int]
) -> None:
    keep(site, enhanced(5))
    _, (came,) = get(site, ROOT_GET, frame_keys(**keys), ENHANCED_CT)
    found = [
        item.FrameContentSequence[0].FrameAcquisitionNumber
        for item in came.PerFrameFunctionalGroupsSequence
    ]
    assert found == numbers
    assert came.PixelData == b"".join(bytes([n]) * 16 for n in numbers)
    assert "ConcatenationUID" not in came


def test_frames_by_time_keep_their_distances(site: Site) -> None:
    vector = ["0", "10", "20", "30", "40"]
    keep(site, samples.multiframe(5, SOPInstanceUID=UID, FrameTimeVector=vector))
    _, (came,) = get(site, ROOT_GET, frame_keys(TimeRange=[0.01, 0.06]))
    assert [float(value) for value in came.FrameTimeVector] == [0, 20, 30]
    _, (came,) = get(site, ROOT_GET, frame_keys(SimpleFrameList=[1, 3, 5]))
    assert [float(value) for value in came.FrameTimeVector] == [0, 30, 70]


def test_unequal_distances_turn_a_frame_time_into_a_vector(site: Site) -> None:
    keep(site, samples.multiframe(5, SOPInstanceUID=UID, FrameTime="10"))
    _, (came,) = get(site, ROOT_GET, frame_keys(SimpleFrameList=[1, 2, 5]))
    assert [float(value) for value in came.FrameTimeVector] == [0, 10, 30]
    assert came.FrameIncrementPointer == 0x00181065
    assert "FrameTime" not in came


@pytest.mark.parametrize(
    ("keys", "status"),
    [
        ({"SimpleFrameList": [8, 9]}, 0xAA00),
        ({"CalculatedFrameList": [8, 9, 1]}, 0xAA00),
        ({"SimpleFrameList": [2, 8]}, 0xAA02),
        ({"TimeRange": [0.0, 1.0]}, 0xAA03),
        ({}, 0xAA04),
        ({"SimpleFrameList": [2, 2]}, 0xAA04),
        ({"SimpleFrameList": [3, 2]}, 0xAA04),
        ({"SimpleFrameList": [0, 2]}, 0xAA04),
        ({"SimpleFrameList": [1], "CalculatedFrameList": [1, 2, 1]}, 0xAA04),
        ({"CalculatedFrameList": [1, 2]}, 0xAA04),
        ({"CalculatedFrameList": [1, 2, 0]}, 0xAA04),
        ({"CalculatedFrameList": [1, 3, 1, 2, 5, 1]}, 0xAA04),
        ({"SimpleFrameList": [1], "SOPInstanceUID": [UID, "1.2.3.5"]}, 0xAA04),
        ({"SimpleFrameList": [1], "SOPInstanceUID": ""}, 0xA900),
        ({"SimpleFrameList": [1], "SOPInstanceUID": "9.9"}, 0x0000),
    ],
)
def test_a_request_that_names_no_frames_has_a_status_of_its_own(
    site: Site, keys: Mapping[str, samples.Value], status: int
) -> None:
    keep(site, samples.multiframe(7, SOPInstanceUID=UID))
    final, came = get(site, ROOT_GET, frame_keys(**keys))
    assert final.status == status
    assert came == []
    assert bool(final.error_comment) == bool(status)


def test_a_class_whose_frames_depend_on_each_other_is_left_whole(site: Site) -> None:
    file = enhanced(3, DimensionOrganizationType="TILED_FULL")
    keep(site, file)
    final, came = get(site, ROOT_GET, frame_keys(SimpleFrameList=[1]), ENHANCED_CT)
    assert (final.status, came) == (0xAA01, [])


def test_a_video_has_no_frames_that_can_be_taken_out(site: Site) -> None:
    file = samples.encapsulated(
        [[b"video "]], transfer_syntax_uid=samples.MPEG4, SOPInstanceUID=UID, NumberOfFrames="99"
    )
    keep(site, file)
    final, came = get(site, ROOT_GET, frame_keys(SimpleFrameList=[1]), syntaxes=[samples.MPEG4])
    assert (final.status, came) == (0xAA02, [])


def test_frames_move_to_a_destination_converted_where_it_must_be(site: Site) -> None:
    keep(site, samples.multiframe(7, bits=16, SOPInstanceUID=UID))
    identifier = samples.dataset(frame_keys(SimpleFrameList=[7]))
    with Destination().listen(site) as destination, associate(site, (ROOT_MOVE, (EXPLICIT,))) as a:
        final = list(scu.move(a, ROOT_MOVE, identifier, "DEST"))[-1].command
    assert counters_of(final) == (None, 1, 0, 0)
    (received,) = destination.received
    assert received.command.affected_sop_instance_uid != UID
    assert received.dataset.endswith(bytes([7]) * 32)
    _, (came,) = get(site, ROOT_GET, frame_keys(SimpleFrameList=[7]), syntaxes=[IMPLICIT])
    assert came.file_meta.TransferSyntaxUID == IMPLICIT
    assert came.PixelData == bytes([7]) * 32
