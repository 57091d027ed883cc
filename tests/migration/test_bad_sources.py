"""A source that does not let us in, a map with a bad row: one line with the remedy, exit code 2, nothing is started."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import Result

from tests.certificates import authority
from tests.e2e.process import free_port
from tests.migration.conftest import Site, Vna
from tests.migration.pacs import Pacs
from vna.dimse.settings import (
    CALLED_AE_TITLE_NOT_RECOGNIZED,
    CALLING_AE_TITLE_NOT_RECOGNIZED,
    AssociationProposal,
    Rejection,
)
from vna.model.campaign import CampaignState

Sources = dict[str, tuple[list[str], tuple[str, ...]]]
RULES = '[[rule]]\nattribute = "AccessionNumber"\nmap = "numbers.csv"\nunmapped = "keep"\n'


class Guarded(BaseHTTPRequestHandler):
    """Lets nobody in."""

    def do_GET(self) -> None:
        """Part of the handler."""
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its base calls it
        """Nothing is printed."""


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of such a server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Guarded)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def guarded() -> Iterator[int]:
    """A web archive that wants other credentials."""
    with serving() as port:
        yield port


@pytest.fixture(scope="module")
def unknown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A web archive whose certificate nobody vouches for."""
    files = authority("Some other CA").write(tmp_path_factory.mktemp("tls"), "server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(files.certificate), files.key)
    with serving(context) as port:
        yield port


def admit(proposal: AssociationProposal) -> Rejection | None:
    """Who is called otherwise, or calls itself otherwise, is turned away."""
    if proposal.calling_ae_title != "VNA":
        return CALLING_AE_TITLE_NOT_RECOGNIZED
    return CALLED_AE_TITLE_NOT_RECOGNIZED if proposal.called_ae_title == "OTHER" else None


@pytest.fixture(scope="module")
def picky() -> Iterator[int]:
    """The port of a DICOM archive that knows whom it talks to, and knows no TLS."""
    pacs = Pacs([])
    pacs.manners.admit = admit
    with pacs.listening():
        yield pacs.address[1]


def dicom(port: int, **options: str) -> list[str]:
    known = {"host": "127.0.0.1", "port": str(port), "called_ae_title": "PACS", "retrieve": "get"}
    return ["dicom", *(f"--option={key}={value}" for key, value in (known | options).items())]


def web(port: int, *options: str, scheme: str = "http") -> list[str]:
    return ["dicomweb", f"--option=url={scheme}://127.0.0.1:{port}", *options]


def assert_refused(result: Result, *told: str) -> None:
    """One line, which says what and what to do about it."""
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert [text for text in told if text not in line] == [], line
    assert "Traceback" not in line
    assert result.stdout == ""


@pytest.fixture
def sources(picky: int, guarded: int, unknown: int, tmp_path: Path) -> Sources:
    """By what is wrong: the source, and what the line has to say."""
    closed, password = free_port(), tmp_path / "password"
    password.write_text("wrong")
    user = ("--option=user=me", f"--option=password_file={password}")
    return {
        "host": (dicom(closed), (f"127.0.0.1 port {closed}", "check host and port")),
        "web host": (web(closed), (f"127.0.0.1:{closed}", "check url")),
        "called AE": (dicom(picky, called_ae_title="OTHER"), ("OTHER", "called_ae_title")),
        "calling AE": (dicom(picky, calling_ae_title="NOBODY"), ("NOBODY", "calling_ae_title")),
        "no TLS there": (dicom(picky, tls="true"), (f"127.0.0.1 port {picky}", "check tls")),
        "certificate": (web(unknown, scheme="https"), ("certificate", "check", "ca")),
        "credentials": (web(guarded, *user), ("401", "password_file")),
        "no credentials": (web(guarded), ("401", "password_file")),
    }


WRONG = (
    *("host", "web host", "called AE", "calling AE", "no TLS there", "certificate"),
    *("credentials", "no credentials"),
)


@pytest.mark.parametrize("wrong", WRONG)
def test_a_source_that_does_not_let_us_in(
    wrong: str, sources: Sources, vna: Vna, site: Site
) -> None:
    assert set(sources) == set(WRONG)
    source, told = sources[wrong]
    assert vna("add", "silo", "--kind", *source).exit_code == 0
    for verb in ("probe", "inventory"):
        assert_refused(vna(verb, "silo"), "nothing was started", *told)
    assert site.rows("SELECT count(*) FROM migration_inventory") == [(0,)]
    site.rows("UPDATE campaign SET inventory = 1 RETURNING id")
    assert_refused(vna("start", "silo"), "nothing was started", *told)
    assert site.campaigns.find("silo").state is CampaignState.NEW


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("A1,N1\nA2\n", ("line 3",)),
        ("A1,N1\nA2,N2,N3\n", ("line 3",)),
        ("A1,N1\nA1,N2\n", ("line 3", "earlier row")),
        ("A1," + "9" * 40 + "\n", ("line 2",)),
    ],
)
def test_a_map_with_a_bad_row(
    row: str, told: tuple[str, ...], vna: Vna, site: Site, tmp_path: Path
) -> None:
    (tmp_path / "numbers.csv").write_text("from,to\n" + row)
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)
    where = ("--kind", "folder", f"--option=path={tmp_path}", "--rules", str(rules))
    assert_refused(vna("add", "silo", *where), "numbers.csv", *told)
    assert site.campaigns.all() == []
