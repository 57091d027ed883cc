"""The way in on a bare machine: which Python is taken, what is said when something is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.house.project import ROOT, read

SCRIPTS = ["apt-install", "install", "peers", "run", "tools", "venv", "viewers"]


class Machine:
    """A folder with copies of the scripts, and a PATH on which programs can be replaced."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / "bin"
        self.programs.mkdir()
        shutil.copytree(ROOT / ".ci", folder / ".ci")

    def program(self, name: str, script: str) -> None:
        """Put a shell script in front of the machine's own program of that name."""
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)

    def run(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run one of the scripts in the folder."""
        return subprocess.run(
            [self.folder / ".ci" / script],
            env={"PATH": f"{self.programs}:{os.environ['PATH']}", **variables},
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine whose user is not root."""
    machine = Machine(tmp_path)
    machine.program("id", "echo 1000")
    return machine


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_scripts_are_programs_that_bash_understands(name: str) -> None:
    path = ROOT / ".ci" / name
    assert os.access(path, os.X_OK)
    assert "set -euo pipefail" in read(Path(".ci") / name)
    assert subprocess.run(["bash", "-n", path], capture_output=True).stderr == b""


def test_all_scripts_are_known_here() -> None:
    assert sorted(path.name for path in (ROOT / ".ci").iterdir()) == SCRIPTS


@pytest.mark.skipif(find_spec("ensurepip") is None, reason="python3-venv is not installed")
def test_an_environment_is_made_with_the_python_that_is_named(machine: Machine) -> None:
    done = machine.run("venv", PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    assert (machine.folder / ".venv/bin/python").exists()


def test_without_a_new_enough_python_it_says_so_and_touches_nothing(machine: Machine) -> None:
    kept = machine.folder / ".venv"
    kept.mkdir()
    machine.program("python3.11", "exit 1")
    done = machine.run("venv", PYTHON="python3.11 no-such-python")
    assert done.returncode == 2
    assert "Python 3.11 or newer is needed" in done.stderr
    assert kept.exists()


def python(*missing: str) -> str:
    """A script that is this Python without the modules `missing`, quick at making environments."""
    cases = "".join(f'  *"{module}"*) exit 1 ;;\n' for module in missing)
    there = "  *ensurepip*) exit 0 ;;\n"
    made = '  *"-m venv"*) mkdir -p .venv/bin; touch .venv/bin/python; exit 0 ;;'
    return f'case "$*" in\n{cases}{there}{made}\nesac\nexec {sys.executable} "$@"'


def test_an_old_python_is_passed_over(machine: Machine) -> None:
    machine.program("python-old", "exit 1")
    machine.program("python-new", python())
    done = machine.run("venv", PYTHON="python-old python-new")
    assert done.returncode == 0, done.stderr
    assert (machine.folder / ".venv/bin/python").exists()


def test_without_venv_and_root_it_names_the_package(machine: Machine) -> None:
    machine.program("python3.11", python("ensurepip", "virtualenv", "-m pip"))
    done = machine.run("venv", PYTHON="python3.11")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert done.returncode == 2
    assert f"apt-get install python{version}-venv" in done.stderr
    assert not (machine.folder / ".venv").exists()


def test_without_venv_root_installs_the_package(machine: Machine) -> None:
    machine.program("id", "echo 0")
    machine.program("apt-get", f'echo "$*" >> {machine.folder}/asked; touch {machine.folder}/done')
    incomplete = python("ensurepip", "virtualenv", "-m pip")
    complete = f"if test -e {machine.folder}/done; then\n{python()}\nfi"
    machine.program("python3.11", f"{complete}\n{incomplete}")
    done = machine.run("venv", PYTHON="python3.11")
    assert done.returncode == 0, done.stderr
    asked = (machine.folder / "asked").read_text().splitlines()
    assert asked[0].startswith("update")
    assert asked[1].endswith(f"python{sys.version_info.major}.{sys.version_info.minor}-venv")


def test_an_environment_that_could_not_be_finished_is_removed(machine: Machine) -> None:
    broken = 'case "$*" in *"-m venv"*) mkdir -p .venv/bin; exit 1 ;; esac'
    machine.program("python3.11", f'{broken}\nexec {sys.executable} "$@"')
    done = machine.run("venv", PYTHON="python3.11")
    assert done.returncode != 0
    assert not (machine.folder / ".venv").exists()


def test_missing_tools_are_named_and_do_not_stop_the_tests(machine: Machine) -> None:
    script = machine.folder / ".ci/tools"
    text = script.read_text(encoding="utf-8")
    for place in ("/usr/bin/$name", "/usr/local/bin/$name"):
        assert place in text
        text = text.replace(place, "/nowhere/$name")
    text = text.replace("/usr/bin/python3", "/nowhere/python3")
    script.write_text(text, encoding="utf-8")
    machine.program("npm", "exit 1")
    done = machine.run("tools")
    assert done.returncode == 0
    assert "DCMTK is missing (as root: apt-get install dcmtk)" in done.stderr
    assert "odil is missing (as root: apt-get install python3-odil)" in done.stderr
    assert "skipped" in done.stderr


def test_a_missing_browser_and_viewer_are_named(machine: Machine) -> None:
    script = machine.folder / ".ci/viewers"
    text = script.read_text(encoding="utf-8").replace("/usr/bin/chrom", "/nowhere/chrom")
    script.write_text(text, encoding="utf-8")
    machine.program("npm", "exit 1")
    done = machine.run("viewers")
    assert done.returncode == 0
    assert "Chromium is missing (as root: apt-get install chromium chromium-driver)" in done.stderr
    for package in ("@ohif/app", "dicomweb-client"):
        assert f"{package} can't be had (as root: apt-get install npm)" in done.stderr
    assert not (machine.folder / ".venv/viewers").exists()


def test_a_viewer_is_fetched_once(machine: Machine) -> None:
    packed = """echo "$3" >>"$OLDPWD/asked"
mkdir -p package/dist package/build; touch package/dist/index.html
tar czf viewer.tgz package"""
    machine.program("npm", packed)
    for _ in range(2):
        assert machine.run("viewers").returncode == 0
    asked = (machine.folder / "asked").read_text(encoding="utf-8").split()
    assert [name.rpartition("@")[0] for name in asked] == ["@ohif/app", "dicomweb-client"]
    assert list((machine.folder / ".venv/viewers/ohif/app").glob("*/index.html"))


def test_missing_peers_are_named_and_the_services_of_others_stay(machine: Machine) -> None:
    machine.program("dpkg-query", "exit 1")
    done = machine.run("peers")
    assert done.returncode == 1
    assert "apt-get install orthanc orthanc-postgresql orthanc-dicomweb dcmtk" in done.stderr


@pytest.mark.parametrize("before", ["#!/bin/sh\nexit 104\n", ""])
def test_peers_are_installed_while_no_service_may_start(machine: Machine, before: str) -> None:
    policy = machine.folder / "policy-rc.d"
    if before:
        policy.write_text(before, encoding="utf-8")
    machine.program("id", "echo 0")
    machine.program("dpkg-query", f'test -e "{machine.folder}/installed" && echo installed')
    machine.program("systemctl", f'echo "$@" >>"{machine.folder}/systemctl"')
    machine.program(
        "apt-get",
        f'if [ "$1" = install ]; then cp "{policy}" "{machine.folder}/installed"; fi',
    )
    done = machine.run("peers", POLICY=str(policy))
    assert done.returncode == 0, done.stderr
    assert "exit 101" in (machine.folder / "installed").read_text(encoding="utf-8")
    assert "disable orthanc" in (machine.folder / "systemctl").read_text(encoding="utf-8")
    assert (policy.read_text(encoding="utf-8") if policy.exists() else "") == before
    assert not list(machine.folder.glob("policy-rc.d.*"))


VERBS = ["lint", "types", "imports", "dockerfile", "fuzz"]


def test_everything_is_checked_and_the_suite_comes_last(machine: Machine) -> None:
    machine.program("make", 'echo "ran $1 CI=$CI stdin=$(cat)"')
    done = machine.run("run")
    ran = [line for line in done.stdout.splitlines() if line.startswith("ran ")]
    assert ran == [f"ran {verb} CI=true stdin=" for verb in [*VERBS, "test"]]
    assert done.stdout.splitlines()[-1] == ran[-1]
    assert done.returncode == 0


@pytest.mark.parametrize("broken", VERBS)
def test_a_failed_check_fails_the_run_and_the_suite_runs_all_the_same(
    machine: Machine, broken: str
) -> None:
    machine.program("make", f'echo "ran $1"; test "$1" != {broken}')
    done = machine.run("run")
    assert done.stdout.splitlines()[-1] == "ran test"
    assert f"failed before the suite ran: {broken}" in done.stderr
    assert done.returncode == 1


def test_a_failed_suite_fails_the_run(machine: Machine) -> None:
    machine.program("make", 'test "$1" != test')
    assert machine.run("run").returncode != 0


INPUTS = ["pyproject.toml", "requirements.lock", "requirements-dev.lock"]
STAMPS = [".venv/.installed-run", ".venv/.installed-dev"]


@pytest.fixture
def installed(machine: Machine) -> Machine:
    """A machine on which everything was installed after the inputs were last changed."""
    shutil.copy(ROOT / "Makefile", machine.folder)
    (machine.folder / ".venv/bin").mkdir(parents=True)
    for moment, name in enumerate([*INPUTS, ".venv/bin/python", *STAMPS]):
        (machine.folder / name).touch()
        os.utime(machine.folder / name, (moment, moment))
    return machine


def is_up_to_date(machine: Machine, stamp: str) -> bool:
    """Whether make has nothing to do for `stamp`."""
    command = ["make", "--question", "--directory", str(machine.folder), stamp]
    return subprocess.run(command, capture_output=True, timeout=60).returncode == 0


@pytest.mark.parametrize("stamp", STAMPS)
def test_a_second_run_installs_nothing(installed: Machine, stamp: str) -> None:
    assert is_up_to_date(installed, stamp)


@pytest.mark.parametrize(
    ("changed", "stamp"),
    [(name, STAMPS[1]) for name in INPUTS] + [(name, STAMPS[0]) for name in INPUTS[:2]],
)
def test_a_changed_input_is_installed(installed: Machine, changed: str, stamp: str) -> None:
    os.utime(installed.folder / changed, (100, 100))
    assert not is_up_to_date(installed, stamp)


def test_a_python_that_is_gone_is_replaced(installed: Machine) -> None:
    (installed.folder / ".venv/bin/python").unlink()
    assert not is_up_to_date(installed, STAMPS[0])
