"""Downloads: given up when nobody speaks, used only with the published checksum."""

import io
import time
from pathlib import Path

import pytest

from deploy.tools.toolset.download import (
    PATIENCE_S,
    Downloader,
    NotDownloadedError,
    checksum_of,
    take_member,
)
from deploy.tools.toolset.progress import Progress, Step

from .conftest import Files, silent_host, zipped

PATIENT_S = 0.6


@pytest.fixture
def step() -> Step:
    return Step("a download", time.monotonic)


def took_to_refuse(downloader: Downloader, address: str, target: Path, step: Step) -> tuple[float, str]:
    begun = time.monotonic()
    with pytest.raises(NotDownloadedError) as refused:
        downloader.fetch(address, target, step)
    return time.monotonic() - begun, str(refused.value)


def test_the_patience_with_a_silent_host_is_five_seconds() -> None:
    assert PATIENCE_S == 5


def test_a_host_that_never_answers_is_given_up_in_time_and_not_asked_again(tmp_path: Path, step: Step) -> None:
    downloader = Downloader(patience_s=PATIENT_S)
    with silent_host() as host:
        seconds, reason = took_to_refuse(downloader, f"http://{host}/a", tmp_path / "a", step)
        assert PATIENT_S * 0.9 <= seconds < PATIENT_S + 1
        assert "no answer within" in reason
        seconds, reason = took_to_refuse(downloader, f"http://{host}/b", tmp_path / "b", step)
        assert seconds < 0.1
        assert "did not answer before" in reason


def test_a_host_that_stops_speaking_in_the_middle_is_given_up_in_time(tmp_path: Path, step: Step) -> None:
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 100
    with silent_host(begun) as host:
        seconds, reason = took_to_refuse(Downloader(patience_s=PATIENT_S), f"http://{host}/a", tmp_path / "a", step)
    assert seconds < PATIENT_S + 1
    assert "only 100 bytes within" in reason


def test_a_closed_port_is_given_up_at_once(tmp_path: Path, step: Step, unreachable: str) -> None:
    seconds, reason = took_to_refuse(Downloader(), f"{unreachable}/a", tmp_path / "a", step)
    assert seconds < 1
    assert "is not reachable" in reason


def test_a_missing_file_is_no_reason_to_shun_its_host(tmp_path: Path, step: Step, files: Files) -> None:
    downloader = Downloader()
    _seconds, reason = took_to_refuse(downloader, f"{files.address}/absent", tmp_path / "a", step)
    assert "answered 404" in reason
    files.content["/there"] = b"content"
    downloader.fetch(f"{files.address}/there", tmp_path / "b", step)
    assert (tmp_path / "b").read_bytes() == b"content"


def test_a_transfer_that_breaks_off_is_no_download(tmp_path: Path, step: Step, files: Files) -> None:
    files.content["/half"] = b"x" * 100
    files.lengths["/half"] = 200
    _seconds, reason = took_to_refuse(Downloader(), f"{files.address}/half", tmp_path / "a", step)
    assert "127.0.0.1" in reason
    assert "100" in reason


def test_a_download_with_the_published_checksum_is_kept(tmp_path: Path, step: Step, files: Files) -> None:
    files.publish(zipped())
    target = tmp_path / "widget.zip"
    Downloader().fetch_checked(f"{files.address}/widget.zip", f"{files.address}/SHA256SUMS", target, step)
    assert target.read_bytes() == zipped()
    assert [path.name for path in tmp_path.iterdir()] == ["widget.zip"]


def test_a_download_with_another_checksum_is_refused_and_removed(tmp_path: Path, step: Step, files: Files) -> None:
    files.publish(zipped(), checksum="0" * 64)
    target = tmp_path / "widget.zip"
    with pytest.raises(NotDownloadedError, match=r"has checksum \w+, published is 0{64}: refused"):
        Downloader().fetch_checked(f"{files.address}/widget.zip", f"{files.address}/SHA256SUMS", target, step)
    assert list(tmp_path.iterdir()) == []


def test_a_file_whose_checksum_is_not_published_is_refused_before_it_is_fetched(
    tmp_path: Path, step: Step, files: Files
) -> None:
    files.publish(zipped())
    files.content["/SHA256SUMS"] = b"0" * 64 + b"  other.zip\n"
    with pytest.raises(NotDownloadedError, match=r"no checksum is published for widget\.zip"):
        Downloader().fetch_checked(
            f"{files.address}/widget.zip", f"{files.address}/SHA256SUMS", tmp_path / "widget.zip", step
        )
    assert files.asked == ["/SHA256SUMS"]


def test_a_checksum_is_found_in_either_way_of_listing() -> None:
    digest = "Ab" * 32
    assert checksum_of("a.zip", f"{'1' * 64}  b.zip\n{digest} *a.zip\n") == digest.lower()


def test_a_member_is_taken_wherever_the_archive_keeps_it(tmp_path: Path) -> None:
    archive = tmp_path / "widget.zip"
    archive.write_bytes(zipped("#!/bin/sh\n"))
    take_member(archive, "widget", tmp_path / "deep" / "widget")
    assert (tmp_path / "deep" / "widget").stat().st_mode & 0o111
    with pytest.raises(NotDownloadedError, match="holds no gadget"):
        take_member(archive, "gadget", tmp_path / "gadget")


def test_a_step_tells_what_how_far_and_how_long() -> None:
    out = io.StringIO()
    progress = Progress(out)
    with progress.step("building") as step:
        step.at("7 of 9 packages")
        assert str(step).startswith("building  7 of 9 packages  0.")
    assert out.getvalue().startswith("building: done in 0.")
