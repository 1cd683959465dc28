"""Build the packages of the wheel: loaders/ becomes ingot.loaders, bench/ ingot.bench.

A project that installs Ingot may have a `loaders` of its own. So the built files import one another as parts of
`ingot`, and name its command, while those of this repository stay as they are. Everything else is in pyproject.toml.
"""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel
from setuptools.errors import SetupError

RENAMED = (
    (re.compile(r"^( *)from (loaders|bench)\b", re.MULTILINE), r"\1from ingot.\2"),
    # For __init__, where the name is used and not a path below it.
    (re.compile(r"^( *)import (loaders|bench)$", re.MULTILINE), r"\1from ingot import \2"),
    (re.compile(r'("-m", ")(?=(loaders|bench)\b)'), r"\1ingot."),
    (re.compile(r"python -m loaders\b(?!\.)"), "ingot"),
    (re.compile(r"python -m bench\b(?!\.)"), "ingot bench"),
)
LEFT = re.compile(r"^ *(from|import) +(loaders|bench)\b", re.MULTILINE)


class Build(build_py):
    """Copy the modules, then rename what they import."""

    def run(self) -> None:
        """Build, and not beside what an earlier build has left, which would be installed too."""
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()
        for path in Path(self.build_lib, "ingot").rglob("*.py"):
            before = text = path.read_text()
            for pattern, replacement in RENAMED:
                text = pattern.sub(replacement, text)
            if LEFT.search(text):
                raise SetupError(f"{path} imports loaders or bench in a way that setup.py does not rename.")
            if text != before:
                path.write_text(text)


class NotEditable(editable_wheel):
    """Refuse: an editable install would show the sources, which import one another by their own names."""

    def run(self) -> None:
        """Stop."""
        raise SetupError("An editable install is not supported: use `pip install .`, or work in the repository.")


FOLDERS = ("loaders", "bench")
setup(
    packages=["ingot", *(f"ingot.{name}" for name in find_packages(include=[f"{one}*" for one in FOLDERS]))],
    package_dir={"ingot": "ingot", **{f"ingot.{folder}": folder for folder in FOLDERS}},
    package_data={"ingot": ["*.sql", "*.yml"], "ingot.loaders": ["*.sql"], "ingot.bench": ["**/*.html"]},
    cmdclass={"build_py": Build, "editable_wheel": NotEditable},
)
