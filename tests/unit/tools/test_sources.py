"""The order of sources, and what is left behind when one of them cannot give the tool."""

import io
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.tools.toolset.manifest import GoBuild, Wheel
from deploy.tools.toolset.places import Cache, write_whole
from deploy.tools.toolset.progress import Progress
from deploy.tools.toolset.sources import NOTE, NotAvailableError, Sources, locate

from .conftest import WIDGET, Files, go_tool, program, widget, zipped

Box = Callable[..., Sources]
Told = tuple[Progress, io.StringIO]

GO = """#!/bin/sh
case "$1" in
  version) echo "go version go1.26.8 linux/amd64" ;;
  mod) echo "go: downloading $4 v2.0.1"; mkdir -p "$GOMODCACHE/$4/crds"; echo kind > "$GOMODCACHE/$4/crds/a.yaml"
    printf '{\\n\\t"Dir": "%%s"\\n}\\n' "$GOMODCACHE/$4" ;;
  list) printf 'go: downloading example.invalid/a v1\\nexample.invalid/a\\nexample.invalid/widget\\n' ;;
  build) while [ "$1" != -o ]; do shift; done
    printf 'example.invalid/a\\nexample.invalid/widget\\n'
    printf '#!/bin/sh\\necho Widget 2.0.1\\n' > "$2"; chmod +x "$2"; %s ;;
esac
"""


def in_cache(cache: Cache, source: str = "Go build") -> Path:
    path = program(cache.tool("widget", "2.0.1"), "widget", WIDGET)
    write_whole(path.parent / NOTE, source)
    return path


def left_in(cache: Cache) -> list[str]:
    return sorted(path.name for path in cache.tools.iterdir()) if cache.tools.exists() else []


def test_a_tool_on_path_at_the_right_version_comes_before_the_cache(box: Box, cache: Cache, path_folder: Path) -> None:
    in_cache(cache)
    there = program(path_folder, "widget", WIDGET)
    found = box(widget()).ensure(widget())
    assert (found.path, found.source) == (there, "PATH")


def test_a_tool_on_path_at_another_version_leaves_it_to_the_cache(box: Box, cache: Cache, path_folder: Path) -> None:
    kept = in_cache(cache)
    program(path_folder, "widget", "#!/bin/sh\necho Widget 2.0.2\n")
    found = box(widget()).ensure(widget())
    assert (found.path, found.source) == (kept, "cache (Go build)")


def test_a_tool_on_path_that_lacks_a_part_leaves_it_to_the_cache(box: Box, cache: Cache, path_folder: Path) -> None:
    wanting = widget(needs=["usr/lib/absent-*/backend.so"])
    kept = in_cache(cache)
    program(path_folder, "widget", WIDGET)
    assert box(wanting).ensure(wanting).path == kept


def test_a_tool_on_path_that_does_not_start_leaves_it_to_the_cache(box: Box, cache: Cache, path_folder: Path) -> None:
    kept = in_cache(cache)
    program(path_folder, "widget", "#!/nonexistent/interpreter\n")
    assert box(widget()).ensure(widget()).path == kept


def test_the_cache_comes_before_any_download(box: Box, cache: Cache, files: Files) -> None:
    in_cache(cache)
    box().ensure(widget(files.address))
    assert files.asked == []


def test_the_official_release_comes_before_a_build(box: Box, cache: Cache, files: Files, path_folder: Path) -> None:
    program(path_folder, "go", GO % ":")
    files.publish(zipped())
    found = box(go_tool()).ensure(widget(files.address, go=True))
    assert found.source == "cache (official release)"
    assert found.path.read_text() == WIDGET
    assert left_in(cache) == ["widget-2.0.1"]
    assert sorted(path.name for path in found.root.iterdir()) == [NOTE, "widget"]


def test_a_release_with_a_wrong_checksum_is_refused_and_built_instead(
    box: Box, files: Files, path_folder: Path, progress: Told
) -> None:
    program(path_folder, "go", GO % ":")
    files.publish(zipped("#!/bin/sh\necho Widget 2.0.1 with a gift\n"), checksum="0" * 64)
    found = box(go_tool()).ensure(widget(files.address, go=True))
    assert found.source == "cache (Go build)"
    assert "gift" not in found.path.read_text()
    assert "not by official release: widget.zip has checksum" in progress[1].getvalue()


def test_an_unreachable_release_is_built_instead(box: Box, unreachable: str, path_folder: Path) -> None:
    program(path_folder, "go", GO % ":")
    found = box(go_tool()).ensure(widget(unreachable, go=True))
    assert found.source == "cache (Go build)"


def test_a_build_that_fails_leaves_nothing_and_names_every_source(
    box: Box, cache: Cache, unreachable: str, path_folder: Path
) -> None:
    program(path_folder, "go", GO % "echo 'cannot link' >&2; exit 1")
    with pytest.raises(NotAvailableError) as refused:
        box(go_tool()).ensure(widget(unreachable, go=True))
    assert "widget 2.0.1 cannot be had" in str(refused.value)
    assert "official release: 127.0.0.1" in str(refused.value)
    assert "cannot link" in str(refused.value)
    assert left_in(cache) == []


def test_a_release_that_does_not_start_is_not_kept(box: Box, cache: Cache, files: Files) -> None:
    files.publish(zipped("#!/bin/sh\nexit 1\n"))
    with pytest.raises(NotAvailableError, match="does not tell its version"):
        box().ensure(widget(files.address))
    assert left_in(cache) == []


def test_two_at_once_get_the_tool_once(box: Box, files: Files) -> None:
    files.publish(zipped())
    tool = widget(files.address)
    sources = box(tool)
    got: list[Path] = []
    both = [threading.Thread(target=lambda: got.append(sources.ensure(tool).path)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(20)
    assert len(set(got)) == 1
    assert len(got) == 2
    assert files.asked.count("/widget.zip") == 1


def test_files_of_a_module_are_kept_beside_the_program(box: Box, cache: Cache, path_folder: Path) -> None:
    program(path_folder, "go", GO % ":")
    (cache.root.parent / "wrappers" / "shared").mkdir()
    recipe = GoBuild(package="example.invalid/widget", wrapper="shared", keeps={"example.invalid/widget": "crds"})
    sources = box(go_tool())
    found = sources.ensure(widget(release=None, go=recipe))
    sources.tidy()
    assert (found.root / "crds" / "a.yaml").read_text() == "kind\n"
    assert found.path.is_file()


def test_a_tool_may_be_files_of_a_module_alone(box: Box, cache: Cache, path_folder: Path) -> None:
    program(path_folder, "go", GO % "exit 9")
    (cache.root.parent / "wrappers" / "widget" / "go.mod").touch()
    files_only = widget(
        release=None, program="", place="crds/a.yaml", asks=[], go=GoBuild(keeps={"example.invalid/widget": "crds"})
    )
    assert box(go_tool()).ensure(files_only).path.read_text() == "kind\n"


def test_a_module_without_the_folder_is_refused_by_name(box: Box, path_folder: Path) -> None:
    program(path_folder, "go", GO % ":")
    absent = widget(release=None, go=GoBuild(keeps={"example.invalid/widget": "nowhere"}))
    with pytest.raises(NotAvailableError, match=r"no folder nowhere in example\.invalid/widget"):
        box(go_tool()).ensure(absent)


def test_after_a_build_go_leaves_no_gigabytes_behind(
    box: Box, cache: Cache, unreachable: str, path_folder: Path
) -> None:
    program(path_folder, "go", GO % 'mkdir -p "$GOCACHE" "$GOMODCACHE"')
    sources = box(go_tool())
    sources.ensure(widget(unreachable, go=True))
    assert (cache.root / "go" / "mod").is_dir()
    sources.tidy()
    assert not (cache.root / "go").exists()
    assert left_in(cache) == ["widget-2.0.1"]


def test_what_another_build_holds_is_kept_when_nothing_was_built(box: Box, cache: Cache) -> None:
    (cache.root / "go" / "mod").mkdir(parents=True)
    in_cache(cache)
    sources = box()
    sources.ensure(widget())
    sources.tidy()
    assert (cache.root / "go" / "mod").is_dir()


UV = """#!/bin/sh
while [ $# -gt 0 ]; do
  case "$1" in --target) into=$2 ;; --require-hashes) hashes=yes ;; -r) wanted=$2 ;; esac; shift
done
[ "$hashes" = yes ] || exit 9
cp "$wanted" %s
mkdir -p "$into/widget_bin/bin"
printf '#!/bin/sh\necho "Widget 2.0.1 by $0"\n' > "$into/widget_bin/bin/run"; chmod +x "$into/widget_bin/bin/run"
"""


def test_a_wheel_is_taken_by_its_hash_and_started_by_a_launcher(box: Box, tmp_path: Path) -> None:
    uv = program(tmp_path, "uv", UV % (tmp_path / "wanted"))
    wheel = Wheel(name="widget-bin", sha256=["a" * 64, "b" * 64], launch=["widget_bin/bin/run"])
    found = box(uv=uv).ensure(widget(release=None, wheel=wheel))
    assert found.source == "cache (PyPI)"
    said = subprocess.run([found.path], check=True, capture_output=True, text=True).stdout
    assert said == f"Widget 2.0.1 by {found.root}/widget_bin/bin/run\n"
    digests = f"--hash=sha256:{'a' * 64} --hash=sha256:{'b' * 64}"
    assert (tmp_path / "wanted").read_text() == f"widget-bin==2.0.1 {digests}\n"


def test_looking_for_a_tool_changes_nothing(cache: Cache, tmp_path: Path) -> None:
    assert locate(widget(), cache, {"PATH": str(tmp_path)}) is None
    assert not cache.root.exists()
