"""`pip install -e '.[peers]'`, as docs/benchmarks.md has it: the packages, their data files, the extra."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.conftest import REPOSITORY


def test_the_wheel_holds_both_packages_with_their_files_and_the_extra(tmp_path: Path) -> None:
    # A copy: a build leaves folders behind. Without isolation, so that nothing is downloaded.
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    for folder in ("loaders", "bench", "models", "macros", "analyses", "seeds"):
        shutil.copytree(REPOSITORY / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, source],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        [metadata] = [name for name in held if name.endswith(".dist-info/METADATA")]
        said = archive.read(metadata).decode()
    wanted = {
        str(path.relative_to(REPOSITORY))
        for folder in ("loaders", "bench")
        for path in (REPOSITORY / folder).rglob("*")
        if path.suffix in (".py", ".sql", ".html")
    }
    assert {name for name in held if ".dist-info/" not in name} == wanted
    assert "Provides-Extra: peers" in said
    assert "extra == 'peers'" in said.replace('"', "'")
    assert "pip install -e '.[peers]'" in (REPOSITORY / "docs" / "benchmarks.md").read_text()
