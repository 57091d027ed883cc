"""Letters of every script on pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from vna.dicom.rendering import fonts
from vna.dicom.rendering.fonts import Ink, draw_line, line_width


def written(text: str) -> np.ndarray:
    image = Image.new("L", (200, 40))
    draw_line(ImageDraw.Draw(image), (4, 4), text, Ink(20, 255, 0))
    return np.asarray(image)


def forget() -> None:
    for cached in (fonts._files, fonts._face, fonts._shown):
        cached.cache_clear()


@pytest.fixture
def no_fonts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A machine without a font."""
    monkeypatch.setattr(fonts, "FOLDERS", (tmp_path, tmp_path / "none"))
    forget()
    yield
    forget()


def has(name: str) -> bool:
    return name in {path.name for path in fonts._files()}


@pytest.mark.usefixtures("no_fonts")
def test_without_fonts_letters_lose_their_accents_and_others_are_question_marks() -> None:
    assert np.array_equal(written("Müller é"), written("Muller e"))
    assert np.array_equal(written("山田 Ж 김 ﷺ"), written("?? ? ? ?"))
    assert line_width("山田", 20) == line_width("??", 20)


@pytest.mark.parametrize(
    ("font", "texts"),
    [
        ("DejaVuSans.ttf", ["Müller", "Żółć", "Хирургия", "Ωμέγα", "שלום", "Nguyễn"]),
        ("NotoSansCJK-Regular.ttc", ["山田太郎", "やまだ", "김희중"]),
        ("DroidSansFallbackFull.ttf", ["山田太郎", "やまだ", "王小东"]),
    ],
)
def test_letters_of_the_fonts_that_are_there(font: str, texts: list[str]) -> None:
    if not has(font):
        pytest.skip(f"{font} is not installed")
    for text in texts:
        picture = written(text)
        assert picture.max() == 255
        marks = written("?" * len(text))
        assert not np.array_equal(picture, marks)
        assert len({written(letter).tobytes() for letter in set(text)}) == len(set(text))


def test_a_line_of_several_scripts_is_as_wide_as_its_runs() -> None:
    parts = ["ID 1 ", "Ж ", "山"]
    assert line_width("".join(parts), 20) == pytest.approx(sum(line_width(p, 20) for p in parts))
    assert written("").max() == 0
