"""The local PostgreSQL: initdb, settings, start and stop of one server in one data directory."""

import hashlib
import os
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil

from loaders.connection import Address
from loaders.errors import ServerError
from loaders.programs import ROOT_STATE_DIRECTORY, Programs, is_reachable, open_to_all
from loaders.server_roles import create_role_and_database
from loaders.server_settings import Setting, settings_file

START_SECONDS = 60
# The bootstrap role, which alone is a superuser, and the file in the data directory that holds its random password.
SUPERUSER = "postgres"
SUPERUSER_PASSWORD_FILE = "superuser_password"  # noqa: S105 - a file's name


class LocalServer:
    """One server: its binaries, its data directory, its address.

    `data` is where the user looks for it (`.pgdata`); the files are there, or behind a link where the account
    that runs the server could not reach them. `settings` go beyond the local server's own, `memory_share` is its part
    of the machine's memory. `superuser_password` is for a cluster, whose nodes have one.
    """

    def __init__(
        self,
        data: Path,
        address: Address,
        *,
        settings: Sequence[Setting] = (),
        memory_share: float = 1,
        superuser_password: str | None = None,
    ) -> None:
        if not address.is_local:
            raise ServerError(
                f"PGHOST is {address.host}: that server is not the local one, so it is left alone. "
                "Unset PGHOST to use the local server."
            )
        self.data = data.absolute()
        self.address = address
        self._programs = Programs()
        self.account = self._programs.account
        self._settings = settings
        self._memory_share = memory_share
        self._superuser_password = superuser_password

    def up(self) -> str:
        """Create the cluster where it is missing, start it, create role and database; return what was done."""
        if self.address.user == SUPERUSER:
            raise ServerError(
                f"PGUSER is {SUPERUSER}, the local server's superuser, which runs nothing of the project. "
                "Unset PGUSER, or set it to another name."
            )
        if self.data.is_symlink() and not self.data.exists():
            self.data.unlink()
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        elif not (self.data / SUPERUSER_PASSWORD_FILE).exists():
            raise ServerError(
                f"{self.data} was made by an earlier version, whose role for loads and builds is a superuser with a "
                "public password. Make it anew, then load again: "
                "`python -m loaders db down --remove-data && python -m loaders db up`."
            )
        if (pid := self.pid()) is not None:
            running = self._running_port()
            if running != self.address.port:
                raise ServerError(
                    f"{self.data} is already served on port {running} (process {pid}). "
                    f"Set PGPORT={running}, or stop it with `PGPORT={running} python -m loaders db down`."
                )
            create_role_and_database(self.superuser_address, self.address)
            return f"already up: {self.address.url}"
        self._clear_stale_lock()
        self._check_port_is_free()
        self._write(
            self.data / "ingot.conf",
            settings_file(
                self._major_version(), self.address.port, memory_share=self._memory_share, more=self._settings
            ),
        )
        self._start()
        create_role_and_database(self.superuser_address, self.address)
        return f"up: {self.address.url}, data in {self.data}, log in {self.log}"

    def down(self) -> str:
        """Stop the server with a fast shutdown; return what was done."""
        if self.pid() is None:
            return "not running"
        self._run("pg_ctl", "stop", "--wait", f"--timeout={START_SECONDS}", "--mode=fast", "-D", self._real_data)
        return "stopped"

    def remove(self) -> None:
        """Stop the server and delete its data."""
        self.down()
        real = self._real_data
        if self.data.is_symlink():
            self.data.unlink()
            shutil.rmtree(real.parent, ignore_errors=True)
        else:
            shutil.rmtree(real, ignore_errors=True)

    def pid(self) -> int | None:
        """Return the postmaster's process id, or None if none serves this data directory."""
        pid_file = self.data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
            process = psutil.Process(pid)
            # After a crash the file may name a dead process that nobody reaped, or another program's.
            alive = process.status() != psutil.STATUS_ZOMBIE and "postgres" in process.name()
            return pid if alive else None
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return None

    @property
    def superuser_address(self) -> Address:
        """The address of the bootstrap superuser; ServerError if its password file may not be read."""
        path = self.data / SUPERUSER_PASSWORD_FILE
        try:
            password = path.read_text().strip()
        except OSError as error:
            raise ServerError(
                f"{path}: {error.strerror}. Run the command as the account that created the server."
            ) from error
        return replace(self.address, database="postgres", user=SUPERUSER, password=password)

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self.data / "server.log"

    @property
    def binaries(self) -> Path:
        """The folder of PostgreSQL's programs."""
        return self._programs.folder

    @property
    def _real_data(self) -> Path:
        return self.data.resolve()

    def _initialise(self) -> None:
        """Run initdb with scram passwords for every connection, and a random one for the bootstrap superuser."""
        if self.data.exists() and any(self.data.iterdir()):
            raise ServerError(f"{self.data} is not empty and holds no cluster. Remove it, then try again.")
        self.data.parent.mkdir(parents=True, exist_ok=True)
        if self.account is not None and not is_reachable(self.data.parent):
            name = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:12]
            real = ROOT_STATE_DIRECTORY / name / "data"
            shutil.rmtree(real, ignore_errors=True)
            real.mkdir(parents=True)
            open_to_all(ROOT_STATE_DIRECTORY)
            self.data.rmdir() if self.data.is_dir() else None
            self.data.symlink_to(real)
        else:
            self.data.mkdir(exist_ok=True)
        self._own(self._real_data)
        self._real_data.chmod(0o700)
        password = self._superuser_password or secrets.token_urlsafe(32)
        with tempfile.NamedTemporaryFile("w", prefix="ingot-", dir="/tmp") as password_file:
            password_file.write(password + "\n")
            password_file.flush()
            self._own(Path(password_file.name))
            # No locale: text sorts by bytes, alike on every machine and in the wheel, which has no ICU.
            self._run(
                "initdb", "-D", self._real_data, f"--username={SUPERUSER}",
                f"--pwfile={password_file.name}", "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale",
                "--data-checksums",
            )  # fmt: skip
        with (self._real_data / "postgresql.conf").open("a") as conf:
            conf.write("\ninclude 'ingot.conf'\n")
        # Last: a cluster without it is not used.
        path = self._real_data / SUPERUSER_PASSWORD_FILE
        path.touch(mode=0o600)
        self._write(path, password + "\n")

    def _start(self) -> None:
        try:
            self._run(
                "pg_ctl", "start", "--wait", f"--timeout={START_SECONDS}", "--silent", "-D", self._real_data,
                "-l", self._real_data / self.log.name,
            )  # fmt: skip
        except ServerError as error:
            tail = self.log.read_text(errors="replace").splitlines()[-3:] if self.log.exists() else []
            raise ServerError(f"{error} Its log, {self.log}, ends: {' | '.join(tail)}") from error

    def _clear_stale_lock(self) -> None:
        """Remove a dead postmaster's lock file once its children are gone.

        PostgreSQL does so itself, but takes a killed postmaster that nobody reaped (a container without an init
        process) for a living one.
        """
        lock = self.data / "postmaster.pid"
        deadline = time.monotonic() + START_SECONDS
        while lock.exists() and time.monotonic() < deadline:
            if not any(_works_in(process, self._real_data) for process in psutil.process_iter()):
                lock.unlink()
                return
            time.sleep(0.1)

    def _check_port_is_free(self) -> None:
        with socket.socket() as probe:
            # As the server does, so that connections still closing do not count as taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.address.port))
            except OSError as error:
                raise ServerError(
                    f"Port {self.address.port} on 127.0.0.1 is taken by another program ({error.strerror}). "
                    "Stop that program, or set PGPORT to a free port."
                ) from error

    def _running_port(self) -> int:
        """Return the port in postmaster.pid's fourth line, waiting for a server that is just starting."""
        for _ in range(START_SECONDS * 10):
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            if len(lines) > 7 and lines[7].strip() == "ready":
                return int(lines[3])
            time.sleep(0.1)
        raise ServerError(f"{self.data} is not ready after {START_SECONDS} s; see {self.log}.")

    def _major_version(self) -> int:
        return int((self.data / "PG_VERSION").read_text())

    def _write(self, path: Path, text: str) -> None:
        path.write_text(text)
        self._own(path)

    def _own(self, path: Path) -> None:
        self._programs.own(path)

    def _run(self, program: str, *arguments: str | Path) -> None:
        self._programs.run(program, *arguments)


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.cwd() == str(folder)
    except psutil.Error:
        return False
