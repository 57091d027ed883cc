"""Rendered images and films in a real browser: they are decoded, sought and played to the end."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import numpy as np
import pytest

from tests.interop.viewer import BROWSER, DRIVER, browser
from tests.unit.dicom.rendering.files import grey_image, rendered_file
from vna.dicom.rendering.options import GIF, JPEG, MP4, PNG, RenderOptions

pytestmark = pytest.mark.skipif(
    not (BROWSER.exists() and DRIVER.exists()), reason="Chromium is missing: see .ci/viewers"
)

GREYS = (40, 90, 140, 190)
FILM = np.stack([np.full((90, 121), grey, np.uint8) for grey in GREYS for _ in range(25)])
_MEAN = """
    const mean = (media, width, height) => {
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [width, height];
        const context = canvas.getContext("2d");
        context.drawImage(media, 0, 0);
        const data = context.getImageData(0, 0, width, height).data;
        let sum = 0;
        for (let place = 0; place < data.length; place += 4) sum += data[place];
        return sum / (width * height);
    };
    const [source, done] = arguments;
"""
_PLAY = (
    _MEAN
    + """
    const video = document.createElement("video"), means = [];
    document.body.append(video);
    video.muted = true;
    video.onerror = () => done({error: video.error.message});
    const look = (now, frame) => {  // "seeked" may come before the frame does
        if (Math.abs(frame.mediaTime - video.currentTime) > 0.3) {
            video.requestVideoFrameCallback(look);
            return;
        }
        means.push(mean(video, video.videoWidth, video.videoHeight));
        if (means.length < 4) {
            video.requestVideoFrameCallback(look);
            video.currentTime += 1;
            return;
        }
        video.onended = () => done({means, duration: video.duration});
        video.play();
    };
    video.onloadedmetadata = () => {
        video.requestVideoFrameCallback(look);
        video.currentTime = 0.5;
    };
    video.src = source;
"""
)
_SHOW = (
    _MEAN
    + """
    const image = new Image();
    image.onerror = () => done({error: "no image"});
    image.onload = () => done({mean: mean(image, image.width, image.height), width: image.width});
    image.src = source;
"""
)


def test_a_browser_takes_what_is_rendered(tmp_path: Path) -> None:
    data, numbers = grey_image(FILM, FrameTime="40"), range(1, len(FILM) + 1)
    with browser(tmp_path, "") as viewer:
        viewer.driver.get("about:blank")
        viewer.driver.set_script_timeout(60)

        def run(script: str, media_type: str) -> dict[str, object]:
            file = rendered_file(data, numbers, RenderOptions(media_type))
            url = f"data:{media_type};base64,{b64encode(file).decode()}"
            found: dict[str, object] = viewer.driver.execute_async_script(script, url)
            return found

        played = run(_PLAY, MP4)
        assert played["duration"] == pytest.approx(4.0, abs=0.05)
        assert played["means"] == pytest.approx(GREYS, abs=2)
        for media_type in (JPEG, PNG, GIF):
            shown = run(_SHOW, media_type)
            assert shown["width"] == 121
            assert shown["mean"] == pytest.approx(GREYS[0], abs=1)
