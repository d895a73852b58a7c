"""Building with Go: a committed wrapper module, its `go.sum` as the verification, and a count as the progress.

`go list -deps` tells how many packages there are, `go build -v` names each as it is compiled. Packages that the
build cache still holds are not named, so a second build jumps to its end. Files of the modules themselves (manifests
that a program of theirs needs) are copied beside the program, because the module cache goes after the builds.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .manifest import GoBuild, Tool
from .progress import Progress, Step
from .running import ProgramFailedError, run

MODULES_WITHIN_S: Final = 600.0
BUILD_WITHIN_S: Final = 1800.0


class NotBuiltError(Exception):
    """The build failed; the message carries Go's last lines."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """One program, built through its wrapper module."""

    tool: Tool
    recipe: GoBuild
    go: Path
    wrapper: Path
    """Folder of the module that requires the program at its pinned version."""
    environment: Mapping[str, str]
    progress: Progress

    def into(self, folder: Path) -> None:
        """Build the program, and copy what is kept of its modules, into the tool's folder."""
        name = f"{self.tool.name} {self.tool.version}"
        try:
            for module, kept in self.recipe.keeps.items():
                with self.progress.step(f"{name}: fetching {module}"):
                    self._keep(module, kept, folder)
            if self.recipe.package:
                target = folder / self.tool.inside
                target.parent.mkdir(parents=True, exist_ok=True)
                with self.progress.step(f"{name}: fetching its Go modules") as step:
                    packages = self._packages(step)
                with self.progress.step(f"{name}: building with Go") as step:
                    self._compile(target, packages, step)
        except ProgramFailedError as why:
            raise NotBuiltError(str(why)) from why

    def _keep(self, module: str, kept: str, folder: Path) -> None:
        """Copy a folder of a module, at the version and checksum of the wrapper."""
        lines = self._run(["mod", "download", "-json", module], MODULES_WITHIN_S, lambda _line: None)
        described = "\n".join(line for line in lines if not line.startswith("go: "))
        source = Path(json.loads(described)["Dir"]) / kept
        if not source.is_dir():
            raise NotBuiltError(f"no folder {kept} in {module}")
        shutil.copytree(source, folder / kept, dirs_exist_ok=True)

    def _packages(self, step: Step) -> int:
        fetched = 0

        def heard(line: str) -> None:
            nonlocal fetched
            if line.startswith("go: downloading"):
                fetched += 1
                step.at(f"{fetched} modules")

        lines = self._run(["list", "-deps", self.recipe.package], MODULES_WITHIN_S, heard)
        return sum(not line.startswith("go: ") for line in lines)

    def _compile(self, target: Path, packages: int, step: Step) -> None:
        compiled = 0

        def heard(_line: str) -> None:
            nonlocal compiled
            compiled += 1
            step.at(f"{compiled} of {packages} packages")

        flags = f"-s -w {self.tool.filled(self.recipe.ldflags)}"
        words = ["build", "-v", "-trimpath", "-ldflags", flags, "-o", str(target), self.recipe.package]
        self._run(words, BUILD_WITHIN_S, heard)

    def _run(self, words: Sequence[str], within_s: float, heard: Callable[[str], None]) -> list[str]:
        return run(
            [self.go, *words],
            environment=self.environment,
            within_s=within_s,
            folder=self.wrapper,
            heard=heard,
        )
