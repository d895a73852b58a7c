"""The programs of a simulated server: real ones from this computer, and stand-ins for those that would change it.

A boot sees two folders: first the stand-ins, then links to the few real programs that its scripts need. Nothing else of
this computer is on its PATH.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

STAND_INS: Final = {
    "apt-get": "installs nothing",
    "catalyst-fetch": "downloads nothing; puts a stand-in where the program would be",
    "helm": "brings the objects of Cilium and Flux into the light cluster",
    "ip": "shows the addresses that the simulated cloud gave the server",
    "iptables": "remembers rules",
    "journalctl": "shows what the simulated k3s said",
    "k3s": "never called: systemctl starts the light cluster in its place",
    "kubectl": "reads and writes the light cluster",
    "sysctl": "changes nothing",
    "systemctl": "starts the light cluster, or joins it, from k3s's own configuration files",
}
"""Programs that hand their arguments to the sandbox, and what they do there. Shown wherever the sandbox is shown."""

CLOCKS: Final = {
    "sleep": "as many times shorter as the sandbox's clock is faster",
    "timeout": "the same",
}
"""Programs that are real but see a faster clock."""

REAL: Final = (
    "awk", "base64", "basename", "bash", "cat", "chmod", "curl", "cut", "date", "dirname", "env", "flock", "grep",
    "head", "id", "install", "ln", "mkdir", "mktemp", "mv", "paste", "printf", "rm", "sed", "sh", "sha256sum", "sleep",
    "sort", "tail", "tar", "timeout", "touch", "tr", "uname", "wc",
)  # fmt: skip

_ASKS = r"""#!{bash}
# A stand-in: hands its name, arguments and input to the sandbox, prints what it says, ends as it says.
body=()
for argument in "$@"; do body+=(--form-string "argument=$argument"); done
answer=$({curl} --silent --show-error --max-time 3600 --header "@$CATALYST_SANDBOX_HEADER" \
  --form-string "program=${{0##*/}}" --form-string "stage=${{CATALYST_STAGE:-}}" "${{body[@]}}" \
  {stdin} "$CATALYST_SANDBOX_URL/call") || {{ echo "${{0##*/}}: the sandbox did not answer" >&2; exit 127; }}
status=${{answer%%$'\n'*}}
text=${{answer:${{#status}}+1}}
if [ "$status" != 0 ]; then
  printf '%s\n' "$text" >&2
elif [ -n "$text" ]; then
  printf '%s\n' "$text"
fi
exit "$status"
"""
_WITH_INPUT = "--form 'input=<-'"
_READS_INPUT: Final = frozenset({"kubectl"})

_SLEEP = r"""#!{bash}
# The real sleep, by the sandbox's faster clock.
exec {sleep} "$({awk} -v seconds="$1" 'BEGIN {{ printf "%.3f", seconds / {factor} }}')"
"""

_TIMEOUT = r"""#!{bash}
# The real timeout, by the sandbox's faster clock.
options=()
while [ "${{1#--}}" != "$1" ]; do options+=("$1"); shift; done
seconds=$({awk} -v seconds="${{1%s}}" '
  BEGIN {{ scaled = seconds / {factor}; if (scaled < {shortest}) scaled = {shortest}; printf "%.3f", scaled }}')
shift
exec {timeout} "${{options[@]}}" "$seconds" "$@"
"""


NOTHING: Final[Mapping[str, Path]] = MappingProxyType({})


class ProgramMissing(Exception):
    """A real program that boots need is not on this computer."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The two folders on the PATH of every simulated server."""

    stand_ins: Path
    real: Path

    @property
    def path(self) -> str:
        """PATH of a boot."""
        return f"{self.stand_ins}:{self.real}"

    def program(self, name: str) -> Path | None:
        """The program of this name, if a simulated server has it."""
        for folder in (self.stand_ins, self.real):
            if (folder / name).exists():
                return folder / name
        return None


def install(
    directory: Path, clock_factor: float, shortest_timeout_s: float, more: Mapping[str, Path] = NOTHING
) -> Programs:
    """Write the stand-ins and link the real programs, with more that do not come from PATH."""
    programs = Programs(directory / "stand-ins", directory / "real")
    for folder in (programs.stand_ins, programs.real):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
    found: dict[str, str] = {}
    for name in REAL:
        where = shutil.which(name)
        if where is None:
            raise ProgramMissing(f"simulated servers need the program {name}, which is not on PATH")
        found[name] = where
        (programs.real / name).symlink_to(where)
    for name, path in more.items():
        (programs.real / name).symlink_to(path)
    clock = {"factor": clock_factor, "shortest": shortest_timeout_s}
    texts = {name: _ASKS.format(**found, stdin=_WITH_INPUT if name in _READS_INPUT else "") for name in STAND_INS}
    texts["sleep"] = _SLEEP.format(**found, **clock)
    texts["timeout"] = _TIMEOUT.format(**found, **clock)
    for name, text in texts.items():
        stand_in = programs.stand_ins / name
        stand_in.write_text(text)
        stand_in.chmod(0o700)
    return programs
