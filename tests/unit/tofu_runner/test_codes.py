"""Every error code of the cloud has an owner, an answer to "try again?", and a next step."""

import pytest

from contracts.cloud_codes import CLOUD_CODES
from contracts.errors import REGISTRY
from tofu_runner.classify import TRANSIENT, WAITS_FOR_BUDGET, WAITS_FOR_CAPACITY, trouble_of


@pytest.mark.parametrize("code", [row.code for row in CLOUD_CODES])
def test_every_code_of_the_cloud_is_told_by_its_own_name_and_with_its_own_words(code: str) -> None:
    text = f"something went wrong ({code}, 1f3a9b)"
    told = trouble_of(code, text, attempted="apply the plan", on="hcloud_server.worker")
    assert told.code == code
    assert told.next_step
    assert text == told.message


@pytest.mark.parametrize(("said", "told"), [("lease_lost", "lease-lost"), ("throttled", "rate_limit_exceeded")])
def test_what_the_pass_through_says_itself_is_told_as_what_it_means(said: str, told: str) -> None:
    assert trouble_of(said, said, attempted="apply the plan", on="x").code == told


def test_what_is_tried_again_is_registered_and_what_waits_is_not_tried_at_once() -> None:
    assert set(REGISTRY) >= TRANSIENT
    assert not TRANSIENT & (WAITS_FOR_CAPACITY | WAITS_FOR_BUDGET)


def test_an_unknown_code_keeps_its_text_masked_and_says_that_it_is_unknown() -> None:
    token = "t" * 64
    told = trouble_of("brand_new", f"never heard of {token}", attempted="apply", on="x", secrets=[token])
    assert told.code == "tofu-diagnostic"
    assert "brand_new" in told.message
    assert "unknown to this release" in told.message
    assert token not in told.message
