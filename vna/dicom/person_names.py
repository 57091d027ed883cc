"""Person names by meaning: the tokens under which a name is found, and the search for a wanted one.

PS3.4 C.2.2.2.1.1 leaves fuzzy semantic matching to the archive. Here a name is a bag of words,
whatever their order and whichever component (or component group) they stand in; a word is found by
its spelling without case, accents and punctuation, or by its sound.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

import jellyfish

from vna.dicom.attributes import BY_LEVEL
from vna.model.identifiers import Level
from vna.model.query import AnyOf, JsonElement, Match, OneOf, SingleValue, Wildcard

SCHEME = "1"
"""Names the way in which tokens are made. Change it with them: the index makes its tokens anew."""

_MAX_WANTED = 1024
_MAX_WANTED_WORDS = 16
_MAX_ALTERNATIVES = 64
_MAX_WORD = 64
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_FIRST_AFFIX = 3
"""Components four and five of a name are its prefix and suffix (PS3.5 6.2.1.1)."""

_APOSTROPHES = frozenset("'`´’‘ʼʻʹ′＇")
_WILDCARDS = frozenset("*?")
# Marks that say how a letter is pronounced, not which it is: Latin, Greek, Cyrillic; Hebrew; Arabic.
_MARKS = re.compile(
    "[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670\u0640\u1ab0-\u1aff\u1dc0-\u1dff]"
)
_LETTERS = str.maketrans(
    {"æ": "ae", "œ": "oe", "ø": "o", "ð": "d", "đ": "d", "ħ": "h", "ı": "i", "ł": "l", "þ": "th"}
)
_KATAKANA = {code: code - 0x60 for code in range(0x30A1, 0x30F7)}
# Ae, oe, ue and aa are how ä, ö, ü and å are written without the accent. What is deleted depends on
# the letter before alone, so the beginning of a word stays the beginning of its short form.
_DIGRAPHS = re.compile("(?<=[aou])e|(?<=a)a")
_EAST_ASIAN = re.compile(
    "[\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7ff\uf900-\ufaff\uff65-\uff9f"
    "\U00020000-\U0003ffff]"
)

_TITLES_TEXT = """
dr prof professor mr mrs ms miss sir dame md phd dds jr sr herr frau dra sra mme mlle
"""
_PARTICLES_TEXT = """
van von vom der den de del dela della di da das do dos du la le les el al bin ibn bint ben zu zum
zur ter ten te af av
"""
_TITLES = frozenset(_TITLES_TEXT.split())
_PARTICLES = frozenset(_PARTICLES_TEXT.split())

_SOUNDS = (
    (re.compile("(?<=.)y"), "i"),
    (re.compile("^mac(?=[^aeiou])"), "mc"),
    (re.compile("sch"), "sh"),
    (re.compile("ch(?=[rl])"), "k"),
    (re.compile("th"), "t"),
)
_SOUNDING = re.compile("[a-z]{3,}")
_VOWELS = re.compile("[aeiou]+")
_REPEATED = re.compile(r"(.)\1+")


def names_by_key(*levels: Mapping[str, JsonElement]) -> dict[str, list[str]]:
    """The tokens of each person name among the attributes of some levels, by the attribute's key."""
    return {
        key: tokens_of(element)
        for level in levels
        for key, element in level.items()
        if element.get("vr") == "PN" and key in _KEPT and element.get("Value")
    }


def tokens_of(element: JsonElement) -> list[str]:
    """The tokens of all values and component groups of a PN element, sorted."""
    values = element.get("Value")
    tokens: set[str] = set()
    for value in values if isinstance(values, list) else []:
        if isinstance(value, dict):
            for name in _GROUPS:
                tokens |= _group_tokens(str(value.get(name) or ""))
    return sorted(tokens)


def wanted(tag: int, match: Match) -> str | None:
    """The tsquery that finds the names of attribute `tag` that `match` means, and all that it
    matches literally.

    None when `match` has no word to look for: a wildcard at each word's beginning, or no letters.
    """
    key = f"{tag:08X}"
    match match:
        case SingleValue(value):
            return _wanted_name(key, value, frozenset())
        case Wildcard(pattern):
            return _wanted_name(key, pattern, _WILDCARDS)
        case AnyOf(values):
            return _any([_wanted_name(key, value, frozenset()) for value in values])
        case OneOf(matches):
            return _any([wanted(tag, item) for item in matches])
        case _:
            return None


# --- what is kept of a name ---


@lru_cache(maxsize=4096)
def _group_tokens(group: str) -> frozenset[str]:
    """`w` and each word, and the components' words run together; `p` and how these sound."""
    components = [_words(component) for component in group.split("^")]
    every = [word for words in components for word in words]
    found = {*every, *(_joined(words) for words in components if len(words) > 1)}
    if _is_east_asian(group):
        found.add(_joined(every))
    found.discard("")
    sounds = {code for word in found for code in _sounds(word)}
    return frozenset({f"w{word}" for word in found} | {f"p{code}" for code in sounds})


def _words(text: str, keep: frozenset[str] = frozenset()) -> list[str]:
    """The words of `text` in canonical form; characters of `keep` count as letters."""
    spaced = "".join(_letter(char, keep) for char in unicodedata.normalize("NFKD", text))
    return [word for word in map(_canonical, spaced.split()) if word]


def _letter(char: str, keep: frozenset[str]) -> str:
    if char in _APOSTROPHES:
        return ""
    return char if char in keep or unicodedata.category(char)[0] in "LMN" else " "


@lru_cache(maxsize=4096)
def _canonical(word: str) -> str:
    plain = _MARKS.sub("", word).casefold()
    plain = _MARKS.sub("", unicodedata.normalize("NFKD", plain)).translate(_LETTERS)
    plain = unicodedata.normalize("NFC", plain).translate(_KATAKANA)
    return _DIGRAPHS.sub("", plain)[:_MAX_WORD]


def _joined(words: Iterable[str]) -> str:
    return "".join(words)[:_MAX_WORD]


@lru_cache(maxsize=4096)
def _sounds(word: str) -> tuple[str, ...]:
    """How a word of Latin letters sounds: its Metaphone, the colour of its first vowel, a final o.

    Consonants alone would make John and Jane one, and Maria and Mario. Short words sound like too
    many others: none.
    """
    if not _SOUNDING.fullmatch(word):
        return ()
    for written, sound in _SOUNDS:
        word = written.sub(sound, word)
    code = _REPEATED.sub(r"\1", jellyfish.metaphone(word).replace(" ", ""))
    ending = "O" if word[-1] in "ou" else ""
    return tuple(code + colour + ending for colour in _colours(word)) if len(code) > 1 else ()


def _colours(word: str) -> str:
    found = _VOWELS.search(word)
    vowels = found[0] if found else ""
    if vowels[:2] in {"ai", "ei"}:  # Maier, Meyer; Neil as Neal
        return "I" if vowels[0] == "a" else "IE"
    return {"a": "A", "e": "E", "i": "E", "o": "O", "u": "O", "": "_"}[vowels[:1]]


# --- what is looked for ---


def _wanted_name(key: str, name: str, wildcards: frozenset[str]) -> str | None:
    """Each component group may be the one that is found."""
    if len(name) > _MAX_WANTED:
        return None
    groups = [group for group in name.split("=") if group.strip("^* ")]
    return _any([_wanted_group(key, group, wildcards) for group in groups])


def _wanted_group(key: str, group: str, wildcards: frozenset[str]) -> str | None:
    components = [_words(component, wildcards) for component in group.split("^")]
    if any(components[:_FIRST_AFFIX]):
        components = components[:_FIRST_AFFIX]
    components = _without_titles([words for words in components if words])
    every = [word for words in components for word in words]
    terms = [_component(key, words, is_alone=len(every) == 1) for words in components]
    condition = _all([term for term in terms if term])
    has_wildcards = any(_WILDCARDS & set(word) for word in every)
    if condition and len(components) > 1 and _is_east_asian(group) and not has_wildcards:
        return _any([condition, _word(key, _joined(every), is_alone=False)])
    return condition


def _without_titles(components: list[list[str]]) -> list[list[str]]:
    """Names without Dr and Jr; what consists of titles alone stays."""
    shorter = [[word for word in words if word not in _TITLES] for words in components]
    return [words for words in shorter if words] or components


def _component(key: str, words: list[str], *, is_alone: bool) -> str | None:
    """Each word that is no particle, or all of them run together."""
    names = [word for word in words if word not in _PARTICLES] or words
    terms = [_word(key, word, is_alone=is_alone) for word in names[:_MAX_WANTED_WORDS]]
    condition = _all([term for term in terms if term])
    if condition is None or len(words) < 2 or any(_WILDCARDS & set(word) for word in words):
        return condition
    return _any([condition, _word(key, _joined(words), is_alone=False)])


def _word(key: str, word: str, *, is_alone: bool) -> str | None:
    """A word as it is written, sounds or is abbreviated; up to its first wildcard its beginning."""
    beginning = re.split(r"[*?]", word, maxsplit=1)[0]
    if beginning != word:
        return _beginning(key, beginning) if beginning else None
    if _is_east_asian(word):
        return _beginning(key, word) if is_alone else _exactly(key, word)
    if len(word) == 1:
        return _beginning(key, word)
    alternatives = [_exactly(key, word), _exactly(key, word[0])]
    return _any(alternatives + [_quoted(f"{key}p{code}") for code in _sounds(word)])


def _exactly(key: str, word: str) -> str:
    return _quoted(f"{key}w{word}")


def _beginning(key: str, word: str) -> str:
    return _quoted(f"{key}w{word}") + ":*"


def _quoted(lexeme: str) -> str:
    """Letters, marks and digits only: nothing in it needs an escape."""
    return f"'{lexeme}'"


def _any(terms: Sequence[str | None]) -> str | None:
    """One of `terms`; None, for which nothing can be looked up, when one of them is None."""
    given = [term for term in terms if term is not None]
    if len(given) < len(terms) or not 0 < len(given) <= _MAX_ALTERNATIVES:
        return None
    return given[0] if len(given) == 1 else f"({' | '.join(given)})"


def _all(terms: list[str]) -> str | None:
    if not terms:
        return None
    return terms[0] if len(terms) == 1 else f"({' & '.join(terms)})"


def _is_east_asian(text: str) -> bool:
    return _EAST_ASIAN.search(text) is not None


def _kept() -> Iterator[tuple[str, Level]]:
    for level in (Level.PATIENT, Level.STUDY, Level.SERIES):
        for attribute in BY_LEVEL[level]:
            if attribute.vr == "PN":
                yield attribute.key, Level.STUDY if level is Level.PATIENT else level


_KEPT = dict(_kept())
TOKEN_LEVELS: dict[int, Level] = {int(key, 16): level for key, level in _kept()}
"""Which attributes have tokens, and at which level these are kept: a study has its patient's."""
