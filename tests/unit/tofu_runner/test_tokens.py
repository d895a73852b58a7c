"""Minted secrets: random, the same for a repeat, covering new servers without touching the old ones'."""

from tofu_runner.probe import TOKEN_LENGTH
from tofu_runner.tokens import NodeSecrets, loopback_credential, sha256


def test_more_servers_leave_the_tokens_of_the_old_ones() -> None:
    one = NodeSecrets.minted().covering(["cp1"])
    two = one.covering(["cp1", "w1"])
    assert two.nodes["cp1"] == one.nodes["cp1"]
    assert two.k3s == one.k3s
    assert set(two.nodes) == {"cp1", "w1"}
    assert one.covering(["cp1"]) is one


def test_secrets_survive_the_vault_and_are_not_shown() -> None:
    minted = NodeSecrets.minted().covering(["cp1"])
    assert NodeSecrets.load(minted.dump()) == minted
    assert not any(value in repr(minted) for value in minted.values())
    assert len(minted.values()) == 3


def test_only_hashes_are_told() -> None:
    minted = NodeSecrets.minted().covering(["cp1"])
    (told,) = minted.hashes(["cp1"])
    assert told.sha256 == sha256(minted.nodes["cp1"])


def test_the_loopback_credential_looks_like_a_token_to_the_provider() -> None:
    credential = loopback_credential()
    assert len(credential) == TOKEN_LENGTH
    assert credential.isalnum()
    assert credential != loopback_credential()
