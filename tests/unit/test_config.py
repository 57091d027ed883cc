"""The configuration: defaults, file, environment, overrides, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from vna.config import Config, DestinationConfig, check_exposure, load_config
from vna.errors import ConfigError


def load(
    tmp_path: Path,
    toml: str = "",
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, Mapping[str, object]] | None = None,
) -> Config:
    """Load `toml` as a file, with nothing taken from this process's own environment."""
    path = tmp_path / "vna.toml"
    path.write_text(toml, encoding="utf-8")
    return load_config(path, environment or {}, overrides or {})


def test_without_anything_the_defaults_hold() -> None:
    config = load_config(None, {})
    assert config == Config()
    assert (config.archive.ae_title, config.archive.data_dir) == ("VNA", Path("data"))
    assert (config.dimse.host, config.dimse.port) == ("127.0.0.1", 11112)
    assert (config.web.host, config.web.port) == ("127.0.0.1", 8080)
    assert config.database.url == ""
    assert config.spool.memory_bytes == 32 * 2**20


def test_the_process_environment_is_the_default_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VNA__ARCHIVE__AE_TITLE", "FROMENV")
    assert load_config().archive.ae_title == "FROMENV"


def test_a_file_changes_only_what_it_names(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """
        [archive]
        data_dir = "/srv/vna"
        [dimse]
        port = 104
        idle_timeout = 60
        known_ae_titles = ["CT1", "MR 2"]
        [dimse.destinations.PACS]
        host = "pacs.example"
        port = 4242
        [web]
        allow_anonymous = true
        [storage.options]
        fan_out = "2"
        """,
    )
    assert config.archive.data_dir == Path("/srv/vna")
    assert config.archive.ae_title == "VNA"
    assert (config.dimse.port, config.dimse.idle_timeout) == (104, 60.0)
    assert isinstance(config.dimse.idle_timeout, float)
    assert config.dimse.known_ae_titles == ("CT1", "MR 2")
    assert config.dimse.destinations == {"PACS": DestinationConfig("pacs.example", 4242)}
    assert config.web.allow_anonymous is True
    assert config.storage.options == {"fan_out": "2"}


def test_environment_wins_over_the_file_and_overrides_win_over_both(tmp_path: Path) -> None:
    toml = "[dimse]\nport = 1\nidle_timeout = 1.0\nartim_timeout = 1.0"
    environment = {"VNA__DIMSE__PORT": "2", "VNA__DIMSE__IDLE_TIMEOUT": "2.5"}
    config = load(tmp_path, toml, environment, {"dimse": {"port": 3}})
    dimse = config.dimse
    assert (dimse.port, dimse.idle_timeout, dimse.artim_timeout) == (3, 2.5, 1.0)


@pytest.mark.parametrize(
    ("name", "value", "section", "key", "expected"),
    [
        ("VNA__WEB__THREADS", "3", "web", "threads", 3),
        ("VNA__web__Threads", "3", "web", "threads", 3),
        ("VNA__DIMSE__ARTIM_TIMEOUT", "0.5", "dimse", "artim_timeout", 0.5),
        ("VNA__DIMSE__ALLOW_ANY_AE", "True", "dimse", "allow_any_ae", True),
        ("VNA__DIMSE__ALLOW_ANY_AE", "false", "dimse", "allow_any_ae", False),
        ("VNA__DIMSE__KNOWN_AE_TITLES", "CT1, MR 2,", "dimse", "known_ae_titles", ("CT1", "MR 2")),
        ("VNA__DIMSE__KNOWN_AE_TITLES", "", "dimse", "known_ae_titles", ()),
        ("VNA__ARCHIVE__DATA_DIR", "/srv", "archive", "data_dir", Path("/srv")),
        (
            "VNA__WEB__USERS__Alice",
            "scrypt:1:1:1$s$h",
            "web",
            "users",
            {"Alice": "scrypt:1:1:1$s$h"},
        ),
        ("VNA__STORAGE__OPTIONS__root", "/x", "storage", "options", {"root": "/x"}),
    ],
)
def test_environment_values_take_the_type_of_their_key(
    name: str, value: str, section: str, key: str, expected: object
) -> None:
    config = load_config(None, {name: value})
    assert getattr(getattr(config, section), key) == expected


def test_destinations_from_the_environment_keep_the_case_of_their_ae_title() -> None:
    config = load_config(
        None,
        {
            "VNA__DIMSE__DESTINATIONS__PACS__HOST": "pacs.example",
            "VNA__DIMSE__DESTINATIONS__PACS__PORT": "104",
            "VNA__DIMSE__DESTINATIONS__pacs__HOST": "other.example",
            "VNA__DIMSE__DESTINATIONS__pacs__PORT": "105",
        },
    )
    assert config.dimse.destinations == {
        "PACS": DestinationConfig("pacs.example", 104),
        "pacs": DestinationConfig("other.example", 105),
    }


def test_a_destination_may_come_half_from_the_file(tmp_path: Path) -> None:
    toml = "[dimse.destinations.PACS]\nhost = 'pacs.example'\nport = 104"
    config = load(tmp_path, toml, {"VNA__DIMSE__DESTINATIONS__PACS__PORT": "11112"})
    assert config.dimse.destinations["PACS"] == DestinationConfig("pacs.example", 11112)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VNA__DATABASE__URL_FILE", "postgresql://vna:s3cret@db/vna"),
        ("VNA__database__url_file", "postgresql://vna:s3cret@db/vna"),
        ("VNA__WEB__USERS__Bob_FILE", "scrypt:1:1:1$salt$hash"),
    ],
)
def test_secrets_come_from_files(tmp_path: Path, name: str, value: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{value}\n", encoding="utf-8")
    config = load_config(None, {name: str(secret)})
    assert value == (config.web.users.get("Bob") or config.database.url)


@pytest.mark.parametrize("password_hash", ["plain", "", "md5:1$salt$hash", "scrypt:1:1:1$salt"])
def test_what_is_no_password_hash_is_refused(password_hash: str) -> None:
    with pytest.raises(ConfigError, match=r"web\.users\.Bob is not a password hash"):
        load_config(None, {"VNA__WEB__USERS__Bob": password_hash})


@pytest.mark.parametrize("url", ["foo", "ftp://host/x", "https://", "https://host/x?y=1"])
def test_a_public_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"web\.public_url"):
        load_config(None, {"VNA__WEB__PUBLIC_URL": url})


def test_a_backend_option_may_end_in_file() -> None:
    config = load_config(None, {"VNA__STORAGE__OPTIONS__token_file": "/run/token"})
    assert config.storage.options == {"token_file": "/run/token"}


def test_a_secret_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(ConfigError, match=r"VNA__DATABASE__URL_FILE names .*cannot be read"):
        load_config(None, {"VNA__DATABASE__URL_FILE": str(tmp_path / "missing")})
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(None, {"VNA__DATABASE__URL_FILE": str(binary)})


def test_a_value_and_its_file_may_not_disagree(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("postgresql://one", encoding="utf-8")
    environment = {"VNA__DATABASE__URL_FILE": str(secret), "VNA__DATABASE__URL": "postgresql://two"}
    with pytest.raises(ConfigError, match=r"sets database\.url a second time") as refused:
        load_config(None, environment)
    assert "postgresql://" not in str(refused.value)
    environment["VNA__DATABASE__URL"] = "postgresql://one"
    assert load_config(None, environment).database.url == "postgresql://one"


def test_other_variables_are_left_alone() -> None:
    assert load_config(None, {"PATH": "/bin", "VNA_CONFIG": "x", "vna__web__port": "1"}) == Config()


@pytest.mark.parametrize(
    "name",
    [
        "VNA__",
        "VNA__DIMSE",
        "VNA__DIMSE__",
        "VNA__DIMSE__PROT",
        "VNA__NOWHERE__KEY",
        "VNA__DIMSE__PORT__EXTRA",
        "VNA__DIMSE__DESTINATIONS",
        "VNA__DIMSE__DESTINATIONS__PACS",
        "VNA__DIMSE__DESTINATIONS____HOST",
        "VNA__DIMSE__DESTINATIONS__MY__AE__HOST",
        "VNA__WEB__USERS___FILE",
        "VNA__DIMSE_FILE",
    ],
)
def test_a_variable_that_fits_nothing_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match=f"environment variable {name}"):
        load_config(None, {name: "1"})


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[dimse]\nprot = 104", r"unknown configuration key dimse\.prot; known here: .*port"),
        ("[dismse]\nport = 104", "unknown configuration key dismse"),
        ("dimse = 104", "dimse must be a table"),
        ("[dimse.destinations]\nPACS = 'host'", r"dimse\.destinations\.PACS must be a table"),
        ("[dimse.destinations.PACS]\nhost = 'h'", r"destinations\.PACS\] lacks the key port"),
        (
            "[dimse.destinations.P]\nhost = 'h'\nport = 1\nae = 'x'",
            r"unknown .*destinations\.P\.ae",
        ),
        ("[dimse]\nport = 104.5", r"dimse\.port must be a number \(int\)"),
        ("[dimse]\nport = true", r"dimse\.port must be a number"),
        ("[dimse]\nport = 'many'", r"dimse\.port must be a number"),
        ("[dimse]\nidle_timeout = nan", r"idle_timeout must be a number \(float\)"),
        ("[dimse]\nidle_timeout = inf", r"idle_timeout must be a number"),
        ("[dimse]\nallow_any_ae = 1", r"allow_any_ae must be of type bool"),
        ("[dimse]\nallow_any_ae = 'yes'", r"allow_any_ae must be of type bool"),
        ("[dimse]\nknown_ae_titles = [1]", "known_ae_titles must be a list of strings"),
        ("[archive]\nae_title = 5", r"archive\.ae_title must be of type str"),
        ("[archive]\ndata_dir = 5", r"archive\.data_dir must be of type Path"),
        ("[storage]\noptions = 5", r"storage\.options must be a table"),
        ("[storage.options]\nretries = 5", r"storage\.options\.retries must be of type str"),
    ],
)
def test_unknown_keys_and_wrong_types_are_refused(tmp_path: Path, toml: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, toml)


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[dimse]\nport = 65536", r"dimse\.port: port 65536"),
        ("[web]\nport = -1", r"web\.port: port -1"),
        ("[dimse.destinations.PACS]\nhost = 'h'\nport = 0", r"destinations\.PACS\.port: port 0"),
        ("[dimse]\nidle_timeout = 0", r"dimse\.idle_timeout must be at least"),
        ("[dimse]\nmax_associations = 0", r"dimse\.max_associations must be at least 1"),
        ("[dimse]\noperations_window = 0", r"dimse\.operations_window must be at least 1"),
        ("[dimse]\nmax_pdu_length = 128", r"dimse\.max_pdu_length must be at least 4096"),
        ("[dimse]\nworkers = -1", r"dimse\.workers must be at least 0"),
        ("[web]\nthreads = 0", r"web\.threads must be at least 1"),
        ("[decoding]\nprocesses = -1", r"decoding\.processes must be at least 0"),
        ("[decoding]\nseconds = 0", r"decoding\.seconds must be at least 0\.001"),
        ("[decoding]\nmemory_bytes = 1000", r"decoding\.memory_bytes must be at least 67108864"),
        ("[database]\npool_size = 0", r"database\.pool_size must be at least 1"),
        ("[spool]\nmemory_bytes = -1", r"spool\.memory_bytes must be at least 0"),
        ("[archive]\nae_title = ''", r"archive\.ae_title: AE title ''"),
        ("[archive]\nae_title = '   '", r"archive\.ae_title: AE title '   '"),
        ("[archive]\nae_title = 'SEVENTEEN_LETTERS'", r"archive\.ae_title"),
        ("[archive]\nae_title = 'BACK\\SLASH'", r"archive\.ae_title"),
        ("[archive]\nae_title = 'MÜNCHEN'", r"archive\.ae_title"),
        ('[archive]\nae_title = "TAB\\t"', r"archive\.ae_title"),
        ("[dimse]\nknown_ae_titles = ['']", r"dimse\.known_ae_titles"),
        ("[dimse.destinations.'A\\B']\nhost = 'h'\nport = 1", r"dimse\.destinations"),
        ("[log]\nlevel = 'loud'", r"log\.level 'loud' is not one of debug"),
        ("[dimse]\nrelational_queries = 'never'", r"relational_queries 'never' is not one of"),
        ("[dimse]\nfuzzy_matching = 'yes'", r"fuzzy_matching 'yes' is not one of always"),
        ("[web]\nallow_delete = 'yes'", r"allow_delete 'yes' is not one of users, everyone"),
        ("[trash]\nkeep_days = -1", r"trash.keep_days must be at least 0"),
        ("[changes]\nkeep_days = -1", r"changes.keep_days must be at least 0"),
        ("[trash]\nkeep_days = 10000000", r"trash.keep_days must be at most 365000"),
        ("[archive]\ntimezone = 'Mars/Olympus'", r"archive\.timezone 'Mars/Olympus' is not known"),
        ("[archive]\ntimezone = '/etc/passwd'", r"archive\.timezone '/etc/passwd' is not the name"),
        ("[log]\nformat = 'xml'", r"log\.format 'xml' is not one of text, json"),
    ],
)
def test_values_no_archive_can_run_with_are_refused(
    tmp_path: Path, toml: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, toml)


def test_an_override_cannot_hide_a_broken_table(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="dimse must be a table, not 104"):
        load(tmp_path, "dimse = 104", {"VNA__DIMSE__PORT": "104"})


def test_a_file_that_is_not_there_or_not_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read configuration"):
        load_config(tmp_path / "missing.toml", {})
    with pytest.raises(ConfigError, match="is not valid TOML"):
        load(tmp_path, "[dimse\n")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vna.toml"
    path.write_bytes(b"\xff\xfe[dimse]")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        load_config(path, {})


@pytest.mark.parametrize(
    ("toml", "place"),
    [("", "data/spool"), ("[spool]\ndirectory = '/fast/spool'", "/fast/spool")],
)
def test_the_spool_lies_beside_the_store_unless_it_is_named(
    tmp_path: Path, toml: str, place: str
) -> None:
    assert load(tmp_path, toml).spool_directory == Path(place)


OPEN_DIMSE = "[dimse]\nhost = '0.0.0.0'\n"
OPEN_WEB = "[web]\nhost = '::'\n"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_needs_no_permission(tmp_path: Path, host: str) -> None:
    config = load(tmp_path, f"[dimse]\nhost = '{host}'\n[web]\nhost = '{host}'")
    check_exposure(config)


@pytest.mark.parametrize(
    ("toml", "role", "message"),
    [
        (OPEN_DIMSE, "all", "dimse.known_ae_titles and dimse.peers are empty"),
        (OPEN_DIMSE, "dimse", "dimse.known_ae_titles and dimse.peers are empty"),
        (OPEN_WEB, "all", "web.users is empty"),
        (OPEN_WEB, "web", "web.users is empty"),
        ("[dimse]\nhost = ''", "all", "dimse.known_ae_titles and dimse.peers are empty"),
    ],
)
def test_beyond_loopback_it_refuses_to_start_unguarded(
    tmp_path: Path, toml: str, role: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check_exposure(load(tmp_path, toml), role)


@pytest.mark.parametrize(
    ("toml", "role"),
    [
        (OPEN_DIMSE + "allow_any_ae = true", "all"),
        (OPEN_DIMSE + "known_ae_titles = ['CT1']", "all"),
        (OPEN_DIMSE, "web"),
        (OPEN_WEB + "allow_anonymous = true", "all"),
        (OPEN_WEB + "users = { alice = 'scrypt:1:1:1$s$h' }", "all"),
        (OPEN_WEB, "dimse"),
    ],
)
def test_beyond_loopback_it_starts_once_someone_said_who_may_come(
    tmp_path: Path, toml: str, role: str
) -> None:
    config = load(tmp_path, toml)
    check_exposure(config, role)


def test_a_secret_that_could_be_guessed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"archive\.pseudonym_secret must have at least 16"):
        load(tmp_path, "[archive]\npseudonym_secret = 'abc'")
