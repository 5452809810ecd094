"""Runs a Dockerfile without a container engine: a stage's files are in a folder, and the local shell runs its commands.

It knows the instructions that ours uses in the forms that ours uses, and fails at any other rather than pass over it.
What it cannot tell is whether the base image is what it is taken for: its Python is played by the one of this run.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from string import Template


class Image:
    """What a Dockerfile makes of the context it is in, built below `folder`; that takes as long as its RUNs do.

    `root` is where the files of its last stage are, `environment` its ENV. `said` holds what else it says: the text of
    USER, STOPSIGNAL and EXPOSE; `commands` holds the words of ENTRYPOINT, CMD and HEALTHCHECK.
    """

    def __init__(self, dockerfile: Path, folder: Path) -> None:
        self.root = folder / "root"
        self.environment: dict[str, str] = {}
        self.said: dict[str, str] = {}
        self.commands: dict[str, list[str]] = {}
        self.workdir = self.root
        self._context = dockerfile.parent
        self._folder = folder
        self._ignored = _rules(self._context / ".dockerignore")
        self._stage: str | None = None
        self._everywhere: dict[str, str] = {}
        self._arguments: dict[str, str] = {}
        for instruction, rest in _instructions(dockerfile.read_text("utf-8")):
            self._carry_out(instruction, rest)

    def _carry_out(self, instruction: str, rest: str) -> None:
        steps = {"FROM": self._from, "ARG": self._arg, "ENV": self._env, "COPY": self._copy, "RUN": self._run}
        if instruction in steps:
            steps[instruction](rest)
        elif instruction == "WORKDIR":
            self.workdir = self._place(rest)
            self.workdir.mkdir(parents=True)
        elif instruction in ("ENTRYPOINT", "CMD"):
            self.commands[instruction] = json.loads(rest)
        elif instruction == "HEALTHCHECK":
            self.commands[instruction] = json.loads(rest.partition("CMD ")[2])
        else:
            assert instruction in ("USER", "STOPSIGNAL", "EXPOSE"), f"what is {instruction}?"
            self.said[instruction] = rest

    def _from(self, rest: str) -> None:
        if self._stage is not None:
            self.root.rename(self._folder / self._stage)
        image, _, self._stage = Template(rest).substitute(self._everywhere).partition(" AS ")
        assert image.startswith("python:"), f"whoever takes {image} for a base must say where its Python comes from"
        self.root.mkdir(parents=True)
        self.environment = {"PATH": str(_python_alone(self._folder / "base"))}
        self._arguments = {}
        self.workdir = self.root

    def _arg(self, rest: str) -> None:
        name, given, value = rest.partition("=")
        if self._stage is None:
            of_another = Template(value).safe_substitute(self._everywhere)
            self._everywhere[name] = self._value(value) if of_another == value else of_another
        else:
            assert not given, f"the arguments of a stage are declared above the first: {rest}"
            self._arguments[name] = self._everywhere[name]

    def _env(self, rest: str) -> None:
        # All at once: a variable does not see another of the same instruction.
        self.environment |= {
            name: self._value(value) for name, value in (word.split("=", 1) for word in shlex.split(rest))
        }

    def _copy(self, rest: str) -> None:
        *sources, target = shlex.split(self._value(rest))
        place = self._place(target)
        if sources[0].startswith("--from="):
            stage, source = self._folder / sources[0].removeprefix("--from="), Path(sources[1])
            shutil.copytree(stage / source.relative_to(self.root), place, symlinks=True)
            return
        assert target.endswith("/"), f"a COPY to what may be a file or a folder: {rest}"
        for context in (self._context / each for each in sources):
            files = list(self._files(context))
            assert files, f"COPY finds no {context.name} in the context"
            for file in files:
                copied = place / file.relative_to(context if context.is_dir() else context.parent)
                copied.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, copied)

    def _run(self, rest: str) -> None:
        absolute = re.search(r"""(?:^|[\s"'=:])(/\S*)""", rest)
        assert not absolute, f"RUN names {absolute and absolute[1]}, which is not the same place here and there"
        # How pip finds a package index is for this machine to say; what Python finds is for the Dockerfile.
        outside = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "RECOVERY_"))}
        path = f"{self.environment['PATH']}{os.pathsep}{outside['PATH']}"
        run = subprocess.run(
            ["/bin/sh", "-c", rest],
            cwd=self.workdir,
            env=outside | self._arguments | self.environment | {"PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert run.returncode == 0, f"RUN {rest}\n{run.stdout}"

    def _value(self, text: str) -> str:
        place = f"{self.root}{text}" if text.startswith("/") else text
        return Template(place).substitute(self._arguments | self.environment)

    def _place(self, path: str) -> Path:
        within = Path(path).is_absolute() and not Path(path).is_relative_to(self.root)
        return self.root / path.lstrip("/") if within else self.workdir / path

    def _files(self, source: Path) -> Iterator[Path]:
        for path in [source] if source.is_file() else sorted(source.rglob("*")):
            if path.is_file() and not self._is_ignored(path.relative_to(self._context)):
                yield path

    def _is_ignored(self, path: Path) -> bool:
        ignored = False
        for pattern, leaves_out in self._ignored:
            about = [path, *path.parents]
            names = [each.name for each in about] if pattern.startswith("**/") else [str(each) for each in about]
            if any(fnmatchcase(name, pattern.removeprefix("**/")) for name in names):
                ignored = leaves_out
        return ignored


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", "").splitlines():
        if line.strip():
            instruction, _, rest = line.partition(" ")
            yield instruction, rest.strip()


def _rules(dockerignore: Path) -> list[tuple[str, bool]]:
    lines = [line.strip() for line in dockerignore.read_text("utf-8").splitlines()]
    return [(line.removeprefix("!"), not line.startswith("!")) for line in lines if line and not line.startswith("#")]


def _python_alone(folder: Path) -> Path:
    """Make a folder for PATH in which there is a `python`, as the base image has it, and nothing else."""
    folder.mkdir(exist_ok=True)
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys._base_executable)} "$@"\n', "utf-8")
    python.chmod(0o755)
    return folder
