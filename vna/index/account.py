"""Under which system account the embedded Postgres runs, since it refuses to run as root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from vna.errors import ConfigError

SYSTEM_USER = "pgserver"
_REACH = 'cd -- "$1" && "$2" --version >/dev/null'


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs the server: ourselves (`user_id` None), or a system account when we are root.

    `prefix` is put before each command that must pass a private directory such as /root.
    """

    user_id: int | None
    group_id: int | None
    prefix: tuple[str, ...] = ()

    @classmethod
    def current(cls) -> Self:
        """Ourselves, or the system user `pgserver` (created when missing). Raises ConfigError."""
        if os.geteuid() != 0:
            return cls(None, None)
        entry = _system_user()
        return cls(entry.pw_uid, entry.pw_gid)

    def reaching(self, directory: Path, executable: Path) -> Account:
        """This account, able to enter `directory` and to run `executable` below it.

        Nobody's permissions are changed: where a parent directory is closed to the account, the server gets the
        capability to read past it (it is then still less than the root that starts it). Raises ConfigError.
        """
        if self.user_id is None or self._reaches(directory, executable):
            return self
        helped = Account(self.user_id, self.group_id, _setpriv(self.user_id, self.group_id))
        if helped.prefix and helped._reaches(directory, executable):
            return helped
        raise ConfigError(
            f"Postgres does not run as root but as user {SYSTEM_USER!r}, who may not enter {directory} "
            f"or not execute {executable}: put the archive and its data under a directory that others "
            "may enter (/opt, /srv), start it as an ordinary user, or set [database] url to a Postgres of your own"
        )

    def run(self, command: Sequence[str], *, timeout: float) -> subprocess.CompletedProcess[str]:
        """Run `command` as this account; its output is merged. Raises OSError and TimeoutExpired."""
        switch = self.user_id is not None and not self.prefix
        return subprocess.run(  # noqa: S603 - fixed programs of the wheel, no shell
            [*self.prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd="/",
            timeout=timeout,
            check=False,
            user=self.user_id if switch else None,
            group=self.group_id if switch else None,
            extra_groups=[] if switch else None,
            umask=0o077,
        )

    def own(self, path: Path) -> None:
        """Give the directory `path` and all below it to this account."""
        for directory, _, names in os.walk(path):
            for item in (Path(directory), *(Path(directory, name) for name in names)):
                self.own_file(item)

    def own_file(self, path: Path) -> None:
        """Give `path` alone to this account."""
        if self.user_id is not None and self.group_id is not None:
            os.chown(path, self.user_id, self.group_id, follow_symlinks=False)

    def _reaches(self, directory: Path, executable: Path) -> bool:
        command = ["/bin/sh", "-c", _REACH, "sh", str(directory), str(executable)]
        try:
            return self.run(command, timeout=30).returncode == 0
        except OSError:
            return False


def _system_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        pass
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is not None:
        options = ("--system", "--no-create-home", "--user-group", "--shell", "/bin/false")
        subprocess.run([useradd, *options, SYSTEM_USER], check=False, capture_output=True)  # noqa: S603
    try:
        return pwd.getpwnam(SYSTEM_USER)  # also when another process was faster
    except KeyError as exc:
        raise ConfigError(
            f"Postgres refuses to run as root and the system user {SYSTEM_USER!r} could not be created: "
            "create it, start the archive as an ordinary user, or set [database] url"
        ) from exc


def _setpriv(user_id: int, group_id: int | None) -> tuple[str, ...]:
    program = shutil.which("setpriv", path="/usr/bin:/bin")
    if program is None:
        return ()
    capability = "+dac_read_search"
    return (
        program,
        f"--reuid={user_id}",
        f"--regid={group_id}",
        "--clear-groups",
        f"--inh-caps={capability}",
        f"--ambient-caps={capability}",
        "--",
    )
