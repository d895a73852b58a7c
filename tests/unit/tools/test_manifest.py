"""The manifest: what is pinned, and what is refused before anything is fetched."""

import base64
import json
import re
from pathlib import Path

import pytest
import yaml

from deploy.tools.toolset.environment import FOLDERS, PROGRAMS, PROVIDER
from deploy.tools.toolset.manifest import GoBuild, WrongManifestError, load, numbers
from deploy.tools.toolset.places import BOX
from deploy.tools.toolset.virtualenv import pinned

from .conftest import widget

OURS = load(BOX / "manifest.toml")
DEPLOY = BOX.parent
KIT = DEPLOY / "kit"
PINS = yaml.safe_load((DEPLOY / "pins.yaml").read_text())
CATALOGUE = yaml.safe_load((KIT / "catalogue.yaml").read_text())


def refusal(tmp_path: Path, text: str) -> str:
    path = tmp_path / "manifest.toml"
    path.write_text(text)
    with pytest.raises(WrongManifestError) as refused:
        load(path)
    return str(refused.value)


def test_the_demo_needs_four_tools_and_gets_the_slowest_build_last() -> None:
    assert {tool.name for tool in OURS.chosen([])} == {PROVIDER, "powerdns", "age", "opentofu"}
    assert OURS.chosen([])[-1].name == "opentofu"


def test_every_tool_that_programs_are_told_about_is_pinned() -> None:
    assert {*PROGRAMS, *FOLDERS, PROVIDER, "powerdns"} <= set(OURS.tools)


def test_a_wrapper_module_requires_the_pinned_version_and_carries_its_checksums() -> None:
    built = [tool for tool in OURS.tools.values() if tool.go]
    assert built
    for tool in built:
        assert tool.go is not None
        folder = BOX / "build" / (tool.go.wrapper or tool.name)
        module = re.search(r"^require (\S+) v(\S+)$", (folder / "go.mod").read_text(), re.MULTILINE)
        assert module, tool.name
        assert module.group(2) == tool.version
        if tool.go.package == ".":
            assert f'"{module.group(1)}/' in (folder / "main.go").read_text()
        else:
            assert tool.go.package.startswith(module.group(1) if tool.go.package else "")
        assert set(tool.go.keeps) <= {module.group(1)}
        assert f"{module.group(1)} v{tool.version} h1:" in (folder / "go.sum").read_text()


def test_the_controllers_that_are_built_are_those_of_the_flux_release_that_a_sovereign_gets() -> None:
    flux = PINS["flux"]["version"]
    released = yaml.safe_load((KIT / "components" / "flux" / "versions.yaml").read_text())["controllers"][flux]
    assert {name: OURS.tools[name].version for name in released} == released
    assert {name: OURS.tools[f"{name}-crds"].version for name in released} == released


def test_the_kubernetes_programs_are_of_the_minor_version_that_a_sovereign_gets() -> None:
    names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    [version] = {OURS.tools[name].version for name in names}
    assert numbers(version)[:2] == numbers(PINS["k3s"]["version"])[:2]
    assert all(f"gitMinor={numbers(version)[1]}" in (OURS.tools[name].go or GoBuild()).ldflags for name in names)


def test_custom_resource_definitions_are_of_the_charts_that_the_kit_installs() -> None:
    charts = {each["name"]: each["chart"]["version"] for each in CATALOGUE["components"]}
    assert charts["bp-cert-manager"] == f"v{OURS.tools['cert-manager-crds'].version}"
    assert charts["bp-cilium"] == PINS["cilium"]["version"] == OURS.tools["cilium-crds"].version


def test_the_pinned_go_can_build_every_wrapper_module() -> None:
    for path in (BOX / "build").glob("*/go.mod"):
        wanted = re.search(r"^go (\S+)$", path.read_text(), re.MULTILINE)
        assert wanted
        assert numbers(OURS.tools["go"].version) >= numbers(wanted.group(1)), path.parent.name


def test_documents_and_all_they_need_are_pinned_by_a_sha512_integrity() -> None:
    integrities = [document.integrity for document in OURS.documents.values() if document.integrity]
    for document in OURS.documents.values():
        if document.lock:
            locked = json.loads((BOX / "build" / document.lock / "package-lock.json").read_text())["packages"]
            assert locked[f"node_modules/{document.package}"]["version"] == document.version
            integrities += [package["integrity"] for path, package in locked.items() if path]
            assert not any("resolved" in package for package in locked.values()), "a lock names no registry"
    for integrity in integrities:
        kind, _, digest = integrity.partition("-")
        assert (kind, len(base64.b64decode(digest))) == ("sha512", 64)


def test_the_installer_is_pinned_with_everything_else() -> None:
    assert numbers(pinned(BOX.parents[1], "uv")) > (0,)


@pytest.mark.parametrize(
    ("lower", "higher"),
    [("1.9", "1.10"), ("0.9.0", "0.10.0"), ("4.7.3", "4.9"), ("1.26.6", "1.26.8"), ("4.7.3-rc1", "4.7.4")],
)
def test_versions_compare_by_number_and_not_by_letter(lower: str, higher: str) -> None:
    assert numbers(lower) < numbers(higher)


def test_trailing_zeros_make_no_other_version() -> None:
    assert numbers("2") == numbers("2.0") == numbers("2.0.0+build7")


@pytest.mark.parametrize(
    ("accept", "found", "enough"),
    [
        ("exactly", "2.0.1", True),
        ("exactly", "2.0.2", False),
        ("at-least", "2.0.1", True),
        ("at-least", "2.1", True),
        ("at-least", "2.0", False),
    ],
)
def test_a_version_on_path_is_accepted_as_the_manifest_says(accept: str, found: str, enough: bool) -> None:
    assert widget(accept=accept).accepts(found) is enough


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[tool.x]\nversion='1'\nwhat=''\nsets=[]\ngo.package='p'\ncolour='red'\n", "tool.x: unknown field colour"),
        ("[tool.x]\nversion='1'\nwhat=''\nsets=[]\ngo.pack='p'\n", "tool.x.go: unknown field pack"),
        ("[tool.x]\nversion='1'\nwhat=''\nsets=[]\n", "tool.x: no source"),
        ("[tool.x]\nversion='1'\nwhat=''\nsets=['prod']\ngo.package='p'\n", "tool.x: sets are among"),
        ("[tool.x]\nversion='1'\nwhat=''\nsets=[]\naccept='any'\ngo.package='p'\n", "tool.x: accept is one of"),
        ("[tool.x]\nwhat=''\nsets=[]\ngo.package='p'\n", "'version'"),
        ("[document.d]\nversion='1'\n", "document.d: "),
        ("[tool.x\n", "is not TOML"),
    ],
)
def test_a_wrong_manifest_is_refused_with_its_table_and_field(tmp_path: Path, text: str, complaint: str) -> None:
    assert complaint in refusal(tmp_path, text)


def test_names_choose_tools_and_sets_each_once() -> None:
    assert [tool.name for tool in OURS.chosen(["opentofu", "demo"])] == ["opentofu", PROVIDER, "powerdns", "age"]


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(WrongManifestError, match=r"terraform is no tool; there are: .*opentofu"):
        OURS.chosen(["terraform"])
