"""Which presentation contexts a C-GET proposes, so that objects come in the syntax in which they are stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice

from pydicom._uid_dict import UID_dictionary

from vna.dicom import syntaxes as known
from vna.migration.dicom_link import Context
from vna.model.migration import FoundInstance

MAX_STORAGE_CONTEXTS = 127
"""128 fit into an association, and one is for the C-GET itself."""

_JPEG = "1.2.840.10008.1.2.4."
COMPRESSED = (
    known.JPEG_2000_LOSSLESS, _JPEG + "91", _JPEG + "70", _JPEG + "57", _JPEG + "80", _JPEG + "81",
    _JPEG + "50", _JPEG + "51", known.RLE_LOSSLESS, _JPEG + "201", _JPEG + "202", _JPEG + "203",
    _JPEG + "100", _JPEG + "102", _JPEG + "107",
)  # fmt: skip
PLAIN = (
    known.EXPLICIT_VR_LITTLE_ENDIAN,
    known.IMPLICIT_VR_LITTLE_ENDIAN,
    known.DEFLATED_EXPLICIT_VR,
    known.EXPLICIT_VR_BIG_ENDIAN,
)

_ALONE = (PLAIN[0], PLAIN[1], PLAIN[3])

_ROOT = "1.2.840.10008.5.1.4.1.1."
_OF_MODALITY: Mapping[str, tuple[str, ...]] = {
    "CR": ("1", "1.1"),
    "CT": ("2", "2.1", "2.2"),
    "DX": ("1.1", "1.1.1", "1"),
    "ECG": ("9.1.1", "9.1.2", "9.1.3"),
    "ES": ("77.1.1", "77.1.1.1"),
    "IO": ("1.3", "1.3.1", "1.1"),
    "IVUS": ("6.1", "3.1"),
    "KO": ("88.59",),
    "MG": ("1.2", "1.2.1", "13.1.3"),
    "MR": ("4", "4.1", "4.2", "4.4"),
    "NM": ("20",),
    "OP": ("77.1.5.1", "77.1.5.2", "77.1.5.4"),
    "OPT": ("77.1.5.4", "77.1.5.8"),
    "PR": ("11.1", "11.2", "11.3", "11.8"),
    "PT": ("128", "130", "128.1"),
    "RF": ("12.2", "12.1", "12.2.1"),
    "RTDOSE": ("481.2",),
    "RTIMAGE": ("481.1",),
    "RTPLAN": ("481.5", "481.8"),
    "RTSTRUCT": ("481.3",),
    "SEG": ("66.4", "66.5"),
    "SM": ("77.1.6",),
    "SR": ("88.11", "88.22", "88.33", "88.34", "88.50", "88.65", "88.67"),
    "US": ("6.1", "3.1", "6.2"),
    "XA": ("12.1", "12.1.1", "13.1.1"),
    "XC": ("77.1.4", "77.1.4.1"),
}
_ANY = (
    "7", "7.2", "7.3", "7.4", "104.1", "88.22", "88.59", "11.1", "66", "66.4", "2", "4", "1", "1.1", "6.1", "3.1",
)  # fmt: skip
"""What any series may hold, whatever it calls itself."""

_USUAL_FORMS = (COMPRESSED[:8], COMPRESSED[8:], PLAIN[:1], PLAIN[1:2], PLAIN[2:])
"""Five contexts a class where classes are guessed: one for each syntax would leave room for six of them."""

CLASSES_AT_ONCE = MAX_STORAGE_CONTEXTS // len(_USUAL_FORMS)


def storage_contexts(
    wanted: Sequence[FoundInstance],
) -> Iterator[tuple[list[Context], list[FoundInstance]]]:
    """Proposals that fit into one association each, with the instances that they are for.

    Each syntax is in a context of its own, those that the source names first, then the compressed ones: an
    acceptor takes one syntax of a context, and should have no choice but the stored one. Where the source tells no
    classes, the same instances come again with other proposals, for those of them that have not arrived.
    """
    unknown = [found for found in wanted if not found.sop_class_uid]
    if unknown:
        for classes in _guesses(unknown):
            yield [(uid, form) for uid in classes for form in _USUAL_FORMS], list(wanted)
        return
    contexts: list[Context] = []
    chosen: list[FoundInstance] = []
    for uid, instances in _by_class(wanted).items():
        own = [(uid, (syntax,)) for syntax in _syntaxes(instances)]
        if len(contexts) + len(own) > MAX_STORAGE_CONTEXTS:
            yield contexts, chosen
            contexts, chosen = [], []
        contexts += own
        chosen += instances
    if chosen:
        yield contexts, chosen


def lone_contexts(wanted: Sequence[FoundInstance]) -> Iterator[list[Context]]:
    """Proposals of one context a class: there are acceptors that send by no other one than the first of a class.

    The syntaxes that the source tells come first, then the uncompressed ones, one after the other.
    """
    unknown = [found for found in wanted if not found.sop_class_uid]
    classes = list(_by_class(found for found in wanted if found.sop_class_uid))
    groups = list(_groups(classes)) + (
        list(_guesses(unknown, MAX_STORAGE_CONTEXTS)) if unknown else []
    )
    told = (found.transfer_syntax_uid for found in wanted if found.transfer_syntax_uid)
    for syntax in dict.fromkeys((*told, *_ALONE)):
        for group in groups:
            yield [(uid, (syntax,)) for uid in group]


def _groups(classes: Sequence[str]) -> Iterator[list[str]]:
    for at in range(0, len(classes), MAX_STORAGE_CONTEXTS):
        yield list(classes[at : at + MAX_STORAGE_CONTEXTS])


def _guesses(
    wanted: Sequence[FoundInstance], at_once: int = CLASSES_AT_ONCE
) -> Iterator[list[str]]:
    """Classes for instances whose source does not tell them: the likely ones first, then all others that there are."""
    modalities = dict.fromkeys(found.modality for found in wanted)
    likely = [end for modality in modalities for end in _OF_MODALITY.get(modality, ())]
    everything = dict.fromkeys([*(_ROOT + end for end in (*likely, *_ANY)), *_standard_classes()])
    left = iter(everything)
    while classes := list(islice(left, at_once)):
        yield classes


@lru_cache(maxsize=1)
def _standard_classes() -> tuple[str, ...]:
    """Every storage class of PS3.6."""
    return tuple(
        uid
        for uid, (name, kind, *_) in UID_dictionary.items()
        if kind == "SOP Class" and "Storage" in name and uid.startswith(_ROOT)
    )


def _by_class(wanted: Iterable[FoundInstance]) -> dict[str, list[FoundInstance]]:
    found: dict[str, list[FoundInstance]] = {}
    for instance in wanted:
        found.setdefault(instance.sop_class_uid, []).append(instance)
    return found


def _syntaxes(instances: Iterable[FoundInstance]) -> list[str]:
    told = [found.transfer_syntax_uid for found in instances if found.transfer_syntax_uid]
    return list(dict.fromkeys((*told, *COMPRESSED, *PLAIN)))[:MAX_STORAGE_CONTEXTS]
