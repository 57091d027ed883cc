"""Where the index keeps each attribute: in a typed column, in the jsonb of a level, or computed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from psycopg import sql

from vna.dicom.attributes import ATTRIBUTES, COMPUTED, vr_of
from vna.model.identifiers import LEVELS, Level

ALIASES = {Level.PATIENT: "p", Level.STUDY: "s", Level.SERIES: "e", Level.IMAGE: "i"}
"""The name of each level's table inside a query."""

PARENTS = {Level.STUDY: "patient", Level.SERIES: "study", Level.IMAGE: "series"}
TABLES = {
    Level.PATIENT: "patient",
    Level.STUDY: "study",
    Level.SERIES: "series",
    Level.IMAGE: "instance",
}


class Kind(Enum):
    """How a typed column compares."""

    TEXT = auto()
    NAME = auto()
    DATE = auto()
    TIME = auto()
    INTEGER = auto()


@dataclass(frozen=True, slots=True)
class Column:
    """A typed column: its table's level, its name there, and how it compares."""

    level: Level
    name: str
    kind: Kind = Kind.TEXT

    @property
    def expression(self) -> sql.Composable:
        return sql.Identifier(ALIASES[self.level], self.name)


COLUMNS: dict[int, Column] = {
    0x00100020: Column(Level.PATIENT, "patient_id"),
    0x00100021: Column(Level.PATIENT, "issuer_of_patient_id"),
    # A study keeps what its own objects say of the patient: they may differ under one Patient ID.
    0x00100010: Column(Level.STUDY, "patient_name", Kind.NAME),
    0x00100030: Column(Level.STUDY, "patient_birth_date", Kind.DATE),
    0x00100040: Column(Level.STUDY, "patient_sex"),
    0x0020000D: Column(Level.STUDY, "study_instance_uid"),
    0x00080020: Column(Level.STUDY, "study_date", Kind.DATE),
    0x00080030: Column(Level.STUDY, "study_time", Kind.TIME),
    0x00080050: Column(Level.STUDY, "accession_number"),
    0x00200010: Column(Level.STUDY, "study_id"),
    0x0020000E: Column(Level.SERIES, "series_instance_uid"),
    0x00080060: Column(Level.SERIES, "modality"),
    0x00200011: Column(Level.SERIES, "series_number", Kind.INTEGER),
    0x00080018: Column(Level.IMAGE, "sop_instance_uid"),
    0x00080016: Column(Level.IMAGE, "sop_class_uid"),
    0x00083002: Column(Level.IMAGE, "transfer_syntax_uid"),
    0x00200013: Column(Level.IMAGE, "instance_number", Kind.INTEGER),
}

RETURNED_COLUMNS: dict[Level, tuple[int, ...]] = {
    Level.PATIENT: (),
    Level.STUDY: (0x0020000D,),
    Level.SERIES: (0x0020000E,),
    Level.IMAGE: (0x00080016, 0x00080018, 0x00083002),
}
"""What stands in columns alone; the jsonb has the rest."""


@dataclass(frozen=True, slots=True)
class Computed:
    """An attribute that is computed from the rows below `level`.

    `expression` is a number, or an array of the values that `member` has in the rows of `rows`.
    """

    tag: int
    level: Level
    expression: sql.Composable
    rows: sql.SQL | None = None
    member: sql.Identifier | None = None

    @property
    def vr(self) -> str:
        return vr_of(self.tag)


_COUNT_STUDIES = sql.SQL("(SELECT count(*) FROM study cs WHERE cs.patient = p.id)")
_COUNT_PATIENT_SERIES = sql.SQL(
    "(SELECT count(*) FROM study cs JOIN series ce ON ce.study = cs.id WHERE cs.patient = p.id)"
)
_COUNT_PATIENT_INSTANCES = sql.SQL(
    "(SELECT count(*) FROM study cs JOIN series ce ON ce.study = cs.id JOIN instance ci ON ci.series = ce.id "
    "WHERE cs.patient = p.id)"
)
_COUNT_SERIES = sql.SQL("(SELECT count(*) FROM series ce WHERE ce.study = s.id)")
_COUNT_STUDY_INSTANCES = sql.SQL(
    "(SELECT count(*) FROM series ce JOIN instance ci ON ci.series = ce.id WHERE ce.study = s.id)"
)
_COUNT_SERIES_INSTANCES = sql.SQL("(SELECT count(*) FROM instance ci WHERE ci.series = e.id)")


def _distinct(tag: int, rows: sql.SQL, member: sql.Identifier) -> Computed:
    """The distinct values of a column in the rows below a study."""
    expression = sql.SQL(
        "ARRAY(SELECT DISTINCT {member} {rows} AND {member} IS NOT NULL ORDER BY 1)"
    ).format(member=member, rows=rows)
    return Computed(tag, Level.STUDY, expression, rows, member)


COMPUTED_COLUMNS: dict[int, Computed] = {
    item.tag: item
    for item in (
        Computed(0x00201200, Level.PATIENT, _COUNT_STUDIES),
        Computed(0x00201202, Level.PATIENT, _COUNT_PATIENT_SERIES),
        Computed(0x00201204, Level.PATIENT, _COUNT_PATIENT_INSTANCES),
        _distinct(
            0x00080061,
            sql.SQL("FROM series ce WHERE ce.study = s.id"),
            sql.Identifier("ce", "modality"),
        ),
        _distinct(
            0x00080062,
            sql.SQL("FROM series ce JOIN instance ci ON ci.series = ce.id WHERE ce.study = s.id"),
            sql.Identifier("ci", "sop_class_uid"),
        ),
        Computed(0x00201206, Level.STUDY, _COUNT_SERIES),
        Computed(0x00201208, Level.STUDY, _COUNT_STUDY_INSTANCES),
        Computed(0x00201209, Level.SERIES, _COUNT_SERIES_INSTANCES),
    )
}

INSTANCE_AVAILABILITY = 0x00080056
LEFT_TO_THE_DOOR = frozenset({0x00080052, 0x00080054, 0x00081190})
"""Query/Retrieve Level, Retrieve AE Title and Retrieve URL: an answer has them, the index does not."""

_LEVELS_OF: dict[int, tuple[Level, ...]] = {}
for _item in ATTRIBUTES:
    _LEVELS_OF[_item.tag] = (*_LEVELS_OF.get(_item.tag, ()), _item.level)


def home_of(tag: int, level: Level) -> Level | None:
    """The level whose row has attribute `tag` for a query of `level`: the deepest at or above it, else the next
    below; None for what the index does not keep."""
    levels = _LEVELS_OF.get(tag)
    if levels is None:
        return None
    above = [home for home in levels if LEVELS.index(home) <= LEVELS.index(level)]
    return above[-1] if above else levels[0]


def is_searchable(tag: int) -> bool:
    """Whether a filter on `tag` narrows; other filters count as universal (PS3.4 C.2.2.1.3)."""
    return (
        tag in COLUMNS
        or tag in COMPUTED_COLUMNS
        or tag in _LEVELS_OF
        or tag == INSTANCE_AVAILABILITY
    )


COMPUTED_TAGS = frozenset(item.tag for item in COMPUTED)
