"""Failures: by the cloud's code, with an owner, without a secret."""

import pytest

from contracts.errors import REGISTRY
from tofu_runner.classify import TRANSIENT, WAITS_FOR_BUDGET, WAITS_FOR_CAPACITY, code_of, crashed, troubles_of
from tofu_runner.lines import Diagnostic


def error(summary: str, detail: str = "", address: str = "hcloud_server.a") -> Diagnostic:
    return Diagnostic("error", summary, detail, address)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("server limit exceeded (resource_limit_exceeded, 3f9a1b)", "resource_limit_exceeded"),
        ("error during placement (resource_unavailable)", "resource_unavailable"),
        ("hcloud/x: create (of a server): no space (placement_error, 42)", "placement_error"),
        ("API request failed\nAn error.\n\nError code: uniqueness_error\nStatus code: 409\n", "uniqueness_error"),
        ("the token is only allowed to read (token_readonly)", "token_readonly"),
        ("nothing in brackets", ""),
        ("a remark (see the manual)", ""),
        ("a brand new refusal (quantum_flux_error, ab12)", "quantum_flux_error"),
    ],
)
def test_the_code_is_found_where_the_sdk_puts_it(text: str, code: str) -> None:
    assert code_of(text) == code


def test_a_permission_problem_is_the_users_and_says_what_to_do() -> None:
    (told,) = troubles_of([error("no (token_readonly)")], attempted="apply the plan")
    assert (told.code, told.owner, told.retryable) == ("token_readonly", "user", False)
    assert told.on == "hcloud_server.a"
    assert told.next_step


def test_an_unknown_code_keeps_its_words_and_says_that_it_is_unknown() -> None:
    (told,) = troubles_of([error("odd (quantum_flux_error)")], attempted="x")
    assert told.code == "tofu-diagnostic"
    assert "unknown to this release, code quantum_flux_error" in told.message
    assert "odd" in told.message


def test_secrets_are_cut_out_of_the_other_partys_words() -> None:
    secret = "canary-node-token-1"
    token = "aB3" * 21 + "Z"
    text = f"bad user data {secret} Bearer abcdefghijklmnopqrstu and {token}"
    (told,) = troubles_of([error(text)], attempted="x", secrets=[secret])
    assert secret not in told.message
    assert token not in told.message
    assert "abcdefghijklmnopqrstu" not in told.message
    assert told.message.count("[secret]") == 3


def test_warnings_and_echoes_are_no_failures_and_each_failure_is_told_once() -> None:
    told = troubles_of(
        [
            Diagnostic("warning", "deprecated"),
            error("execution halted"),
            error("a (conflict)"),
            error("a (conflict)"),
            error("b (conflict)", address="hcloud_network.b"),
        ],
        attempted="x",
    )
    assert [(t.code, t.on) for t in told] == [("conflict", "hcloud_server.a"), ("conflict", "hcloud_network.b")]


def test_what_somebody_has_to_act_on_comes_first() -> None:
    told = troubles_of(
        [error("a (conflict)"), error("what?", address="x"), error("no (resource_limit_exceeded)")], attempted="x"
    )
    assert [t.code for t in told] == ["resource_limit_exceeded", "conflict", "tofu-diagnostic"]


def test_codes_that_decide_a_retry_are_known_to_the_registry_as_retryable() -> None:
    for code in WAITS_FOR_CAPACITY | WAITS_FOR_BUDGET | (TRANSIENT - {"not_found"}):
        assert REGISTRY[code].retryable, code


def test_a_crash_tells_the_exit_code_and_the_last_words() -> None:
    told = crashed(-9, attempted="apply the plan", tail=["panic: canary-secret"], secrets=["canary-secret"])
    assert told.code == "tofu-crashed"
    assert "-9" in told.message
    assert "canary-secret" not in told.message


def test_a_long_text_is_cut() -> None:
    (told,) = troubles_of([error("x " * 5000)], attempted="x")
    assert len(told.message) < 2000
