"""Other archives as programs on this machine, for benchmarks and for tests of working together.

How a test uses them (as root, or where user namespaces are allowed)::

    pytestmark = pytest.mark.skipif(bool(orthanc.missing()), reason="…")

    @pytest.fixture(scope="module")
    def network() -> Iterator[None]:
        with private_network():     # this thread, and all threads and processes that it starts from here on
            yield

    @pytest.fixture(scope="module")
    def peer(network: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
        folder = tmp_path_factory.mktemp("orthanc")
        with running_orthanc(folder, OrthancSettings(modalities={"VNA": ("127.0.0.1", port)})) as peer:
            yield peer

Debian's Orthanc listens on all addresses, so `running_orthanc` refuses to start it outside of a `private_network`.
Within one, ports are nobody else's, Unix sockets of Postgres work as before, and what was started outside can't be
reached by TCP: start the archive, its destinations and the clients inside as well. Every server is stopped when its
block ends, and ends by itself when the test process dies.
"""
