"""``make verify-charts``: render each chart of the kit with our values, and compare it with its row in the catalogue.

Needs Helm 3.8 or later on PATH and the charts' repositories (or ``--charts``, a folder of unpacked charts by name).
What is compared: the workloads and volumes that watcher and size check count on, and that every image has a pin. A
component that agrees gets ``verified: true`` in the catalogue; the docs table follows by ``make generate``.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

KIT = Path("deploy/kit")
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")
Json = Mapping[str, Any]
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z][A-Z0-9_]*)(?::=(?P<default>[^}]*))?\}")
_WITHIN_S = 300


class NotRenderedError(Exception):
    """Helm refused; the message is its own."""


def values_of(kit: Path, folder: str) -> tuple[str, Json]:
    """The release's name and values, with a sample for each value of the Sovereign."""
    text = (kit / "components" / folder / "release.yaml").read_text()
    spec = yaml.safe_load(_VARIABLE.sub(lambda match: match["default"] or f"sample-{match['name'].lower()}", text))[
        "spec"
    ]
    return spec["releaseName"], spec.get("values", {})


def helm_words(row: Json, release: str, values: Path, charts: Path | None) -> list[str]:
    """The command line that renders a component."""
    chart = row["chart"]
    words = ["helm", "template", release, "--namespace", row["namespace"], "--include-crds", "--values", str(values)]
    if charts is not None:
        return [*words, str(charts / chart["name"])]
    if chart["kind"] == "OCIRepository":
        return [*words, "--version", chart["version"], chart["url"]]
    return [*words, "--version", chart["version"], "--repo", chart["url"], chart["name"]]


def rendered(kit: Path, row: Json, charts: Path | None) -> list[Json]:
    """What the chart makes of our values; NotRenderedError when Helm refuses."""
    release, values = values_of(kit, row["name"].removeprefix("bp-"))
    with TemporaryDirectory() as folder:
        file = Path(folder) / "values.yaml"
        file.write_text(yaml.safe_dump(values))
        words = helm_words(row, release, file, charts)
        done = subprocess.run(words, capture_output=True, text=True, timeout=_WITHIN_S, check=False)
    if done.returncode != 0:
        raise NotRenderedError(done.stderr.strip()[-2000:])
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def differences(row: Json, documents: Sequence[Json]) -> Iterator[str]:
    """Where the rendered objects and the catalogue disagree."""
    found = {(each["kind"], each["metadata"]["name"]): each for each in documents if each["kind"] in WORKLOADS}
    wanted = {(each["kind"], each["name"]) for each in row["workloads"] if not each.get("plain")}
    for kind, name in sorted(wanted - set(found)):
        yield f"the catalogue names {kind} {name}, the chart makes none"
    for kind, name in sorted(set(found) - wanted):
        yield f"the chart makes {kind} {name}, the catalogue does not name it"
    claims = _claims(documents)
    if bool(claims) != any(each.get("volume") for each in row["workloads"] if not each.get("plain")):
        yield f"volumes: the chart claims {claims or 'none'}, the catalogue says otherwise"
    for where, image in _images(found):
        if "@" not in image and (":" not in image.rsplit("/", 1)[-1] or image.endswith(":latest")):
            yield f"{where} runs {image}, which is no pin"


def _claims(documents: Sequence[Json]) -> list[str]:
    whole = [each["metadata"]["name"] for each in documents if each["kind"] == "PersistentVolumeClaim"]
    templates = [
        claim["metadata"]["name"]
        for each in documents
        if each["kind"] == "StatefulSet"
        for claim in each["spec"].get("volumeClaimTemplates") or ()
    ]
    return whole + templates


def _images(found: Mapping[tuple[str, str], Json]) -> Iterator[tuple[str, str]]:
    for (kind, name), each in found.items():
        spec = each["spec"]["template"]["spec"]
        for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
            yield f"{kind} {name}", str(container["image"])


def marked(text: str, name: str, *, verified: bool) -> str:
    """The catalogue's text with a component's flag set; nothing else of it changes."""
    before, found, after = text.partition(f"  - name: {name}\n")
    if not found:
        raise ValueError(f"{name} is not in the catalogue")
    flag = f"    verified: {str(verified).lower()}\n"
    return before + found + re.sub(r"^    verified: \w+\n", flag, after, count=1, flags=re.MULTILINE)


def main() -> int:
    """Render what was named, or everything; write what was seen; 1 when anything disagrees."""
    parser = argparse.ArgumentParser(description="Render the kit's charts and compare them with its catalogue.")
    parser.add_argument("names", nargs="*", help="Components, such as bp-velero; all when none is named.")
    parser.add_argument("--charts", type=Path, help="A folder of unpacked charts by name.")
    given = parser.parse_args()
    file = KIT / "catalogue.yaml"
    rows = yaml.safe_load(file.read_text())["components"]
    wrong = 0
    for row in rows:
        name = row["name"]
        if given.names and name not in given.names:
            continue
        try:
            said = list(differences(row, rendered(KIT, row, given.charts)))
        except FileNotFoundError:
            sys.stderr.write("Helm is not on PATH: install 3.8 or later (https://helm.sh/docs/intro/install/).\n")
            return 1
        except NotRenderedError as refused:
            said = [f"Helm: {refused}"]
        wrong += bool(said)
        sys.stdout.write(
            f"{'differs' if said else 'agrees':8} {name}\n" + "".join(f"         {line}\n" for line in said)
        )
        file.write_text(marked(file.read_text(), name, verified=not said))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
