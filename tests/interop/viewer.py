"""The OHIF viewer in headless Chromium, looking at an archive: what its pages show, as pixels."""

from __future__ import annotations

import functools
import http.server
import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray
from PIL import Image
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from tests.e2e.process import ArchiveProcess, running_archive
from tests.interop.sites import served

BROWSER, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
VIEWERS = Path(__file__).parents[2] / ".venv" / "viewers"
OHIF, CLIENT = "ohif/app", "dicomweb-client"
PATIENCE = 90.0
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"),
    *("--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
    "--window-size=1280,900",
)
_CANVAS = ".cornerstone-canvas"
# A library inside the viewer looks for the name where its scripts arrive late, and without it shows nothing at all.
_FILE_NAME = b"window.__filename = location.href;"
_TOUR = "Skip all"
_SEGMENTATION = "[data-cy='study-browser-thumbnail-no-image']"


def distribution(package: str) -> Path | None:
    """The folder with the built files of an npm package that `.ci/viewers` fetches."""
    found = sorted(path for path in VIEWERS.glob(f"{package}/*") if path.is_dir())
    return found[-1] if found else None


def needed(package: str) -> pytest.MarkDecorator:
    """Skips what needs a browser and this package where one of them is missing."""
    return pytest.mark.skipif(
        not (BROWSER.exists() and DRIVER.exists() and distribution(package)),
        reason=f"Chromium or {package} is missing: see .ci/viewers",
    )


class _Site(http.server.SimpleHTTPRequestHandler):
    """The files of the viewer; every other path is its page, whose script reads the path."""

    def __init__(self, *args: object, root: Callable[[], str], folder: Path) -> None:
        self._root, self._folder = root, folder
        super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path == "/app-config.js":
            self._configure()
            return
        if not (self._folder / path.lstrip("/")).is_file():
            self.path = "/index.html"
        super().do_GET()

    def _configure(self) -> None:
        body = _FILE_NAME + b"window.config = " + orjson.dumps(_configuration(self._root())) + b";"
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Quiet."""


def _configuration(root: str) -> dict[str, object]:
    source = {
        "friendlyName": "archive",
        "name": "vna",
        "wadoUriRoot": root.removesuffix("/dicom-web") + "/wado",
        "qidoRoot": root,
        "wadoRoot": root,
        "qidoSupportsIncludeField": True,
        "imageRendering": "wadors",
        "thumbnailRendering": "wadors",
        "enableStudyLazyLoad": True,
        "supportsFuzzyMatching": True,
        "supportsWildcard": True,
        "omitQuotationForMultipartRequest": True,
        "bulkDataURI": {"enabled": True},
    }
    return {
        "routerBasename": "/",
        "extensions": [],
        "modes": [],
        "showStudyList": True,
        "showCPUFallbackMessage": False,
        "showWarningMessageForCrossOrigin": False,
        "investigationalUseDialog": {"option": "never"},
        "maxNumberOfWebWorkers": 2,
        "defaultDataSourceName": "vna",
        "dataSources": [
            {
                "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
                "sourceName": "vna",
                "configuration": source,
            }
        ],
    }


@contextmanager
def viewer_site(root: Callable[[], str]) -> Iterator[str]:
    """The viewer on a port of its own, for the archive whose DICOMweb root `root` gives; its origin."""
    folder = distribution(OHIF)
    assert folder is not None
    handler = functools.partial(_Site, root=root, folder=folder)
    with served(handler) as origin:
        yield origin


@dataclass
class Viewer:
    """A browser with the viewer of `origin`."""

    driver: webdriver.Chrome
    origin: str

    def open_study(self, study_instance_uid: str) -> None:
        """Go to the page of a study."""
        self.driver.get(f"{self.origin}/viewer?StudyInstanceUIDs={study_instance_uid}")

    def open_list(self, query: str = "") -> None:
        """Go to the study list, filtered by `query`."""
        self.driver.get(f"{self.origin}/{query}")

    def asked(self, root: str) -> list[str]:
        """The targets below `root` that pages have asked for since this was called last."""
        entries = self.driver.get_log("performance")  # type: ignore[no-untyped-call]
        messages = [orjson.loads(entry["message"])["message"] for entry in entries]
        urls = [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]
        return [url.removeprefix(root) for url in urls if url.startswith(root)]

    def text(self) -> str:
        """All that the page says."""
        return str(self.driver.find_element(By.TAG_NAME, "body").text)

    def skip_tour(self) -> None:
        """Close the introduction that lies over the first images, if it is there."""
        self._press(_TOUR)

    def _press(self, text: str) -> bool:
        """Click on whatever says `text`; whether there was anything."""
        buttons = self.driver.find_elements(By.XPATH, f"//*[text()='{text}']")
        for button in buttons:
            button.click()
        return bool(buttons)

    def pixels(self) -> NDArray[np.uint8]:
        """The middle of the first viewport as (rows, columns, 3) of RGB; empty while there is none."""
        canvases = self.driver.find_elements(By.CSS_SELECTOR, _CANVAS)
        if not canvases:
            return np.zeros((0, 0, 3), np.uint8)
        shot = np.asarray(Image.open(io.BytesIO(canvases[0].screenshot_as_png)).convert("RGB"))
        rows, columns = shot.shape[0] // 4, shot.shape[1] // 4
        return shot[rows:-rows, columns:-columns]

    def await_image(self, accept: Callable[[NDArray[np.uint8]], bool]) -> NDArray[np.uint8]:
        """The pixels as soon as they are as `accept` wants them. Raises AssertionError after PATIENCE."""
        shots = [np.zeros((0, 0, 3), np.uint8)]

        def looks_right() -> bool:
            shots[0] = self.pixels()
            return bool(shots[0].size) and accept(shots[0])

        self._await(looks_right, "no such image appeared")
        return shots[0]

    def await_text(self, text: str) -> None:
        """Wait until the page says `text`. Raises AssertionError after PATIENCE."""
        self._await(lambda: text in self.text(), f"the page does not say {text!r}")

    def load_segmentation(self) -> None:
        """Show the only segmentation of the study over its images: a double click, and yes to the question."""

        def load() -> bool:
            thumbnails = self.driver.find_elements(By.CSS_SELECTOR, _SEGMENTATION)
            if not thumbnails:
                return False
            ActionChains(self.driver).double_click(thumbnails[0]).perform()
            return True

        self._await(load, "the study has no segmentation to click on")
        self._await(lambda: self._press("Yes"), "nobody asks whether to open it")

    def _await(self, happens: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                self.skip_tour()
                if happens():
                    return
            except WebDriverException:
                continue  # the page is being put together
        raise AssertionError(f"{otherwise}; {self.complaints()}")

    def complaints(self) -> list[str]:
        """The errors in the browser's console."""
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [entry["message"][:300] for entry in entries if entry["level"] == "SEVERE"]


@contextmanager
def browser(folder: Path, origin: str) -> Iterator[Viewer]:
    """Headless Chromium with a profile of its own in `folder`."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for flag in (*_FLAGS, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    driver.set_page_load_timeout(PATIENCE)
    try:
        yield Viewer(driver, origin)
    finally:
        driver.quit()


@contextmanager
def looking(folder: Path) -> Iterator[tuple[ArchiveProcess, Viewer]]:
    """An archive that lets the viewer's pages in, and a browser on them; their data lie in `folder`."""
    roots: list[str] = []
    with viewer_site(lambda: roots[0]) as origin:
        environment = {"VNA__WEB__CORS_ORIGINS": origin}
        with running_archive(folder / "data", environment) as archive:
            roots.append(archive.root)
            with browser(folder / "profile", origin) as page:
                yield archive, page
