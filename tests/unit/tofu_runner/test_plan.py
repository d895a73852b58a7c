"""Plans: counts, digest, and what has to be asked."""

from typing import Any

from tofu_runner.plan import plan_of, reasons_to_ask


def change(address: str, *actions: str, reason: str = "", **more: Any) -> dict[str, Any]:
    body = {"actions": list(actions), "before": None, "after": more.pop("after", {"name": "a"}), **more}
    return {
        "address": address,
        "mode": "managed",
        "type": address.split(".", maxsplit=1)[0],
        "action_reason": reason,
        "change": body,
    }


def plan(*changes: dict[str, Any], drift: tuple[str, ...] = ()) -> Any:
    gone = [{"address": address, "change": {"actions": ["delete"]}} for address in drift]
    return plan_of({"resource_changes": list(changes), "resource_drift": gone})


def test_actions_are_counted_and_a_replacement_is_both() -> None:
    found = plan(
        change("hcloud_server.a", "create"),
        change("hcloud_server.b", "delete", "create"),
        change("hcloud_server.c", "create", "delete"),
        change("hcloud_server.d", "update"),
        change("hcloud_server.e", "delete"),
        change("hcloud_server.f", "no-op"),
        change("hcloud_server.g", "no-op", importing={"id": "7"}),
        {**change("data.hcloud_image.x", "read"), "mode": "data"},
    )
    assert (found.add, found.count("update"), found.destroy, found.count("import")) == (3, 1, 3, 1)
    assert [c.address for c in found.changes] == sorted(c.address for c in found.changes)


def test_what_may_leave_the_state_is_what_the_plan_removes_or_the_refresh_missed() -> None:
    found = plan(change("a.b", "delete"), change("a.c", "create", "delete"), change("a.d", "update"), drift=("a.x",))
    assert found.removals == {"a.b", "a.c", "a.x"}


def test_the_digest_is_the_same_for_the_same_plan_in_any_order() -> None:
    one, two = change("a.b", "create"), change("a.c", "delete")
    assert plan(one, two).digest == plan(two, one).digest
    assert plan(one).digest != plan(two).digest
    assert plan(one).digest != plan(change("a.b", "create", after={"name": "other"})).digest


def test_secrets_and_what_is_not_known_yet_do_not_enter_the_digest() -> None:
    def with_secret(secret: str) -> str:
        after = {"name": "a", "user_data": secret, "list": [secret, "x"], "id": "?"}
        sensitive = {"user_data": True, "list": [True, False]}
        found: str = plan(
            change("a.b", "create", after=after, after_sensitive=sensitive, after_unknown={"id": True})
        ).digest
        return found

    assert with_secret("canary-one") == with_secret("canary-two")


def test_only_removals_are_asked_for() -> None:
    assert reasons_to_ask(plan(change("a.b", "create"), change("a.c", "update"))) == ()
    reasons = reasons_to_ask(plan(change("a.b", "delete"), change("a.c", "delete", "create", reason="replace_by_x")))
    assert len(reasons) == 2
    assert "a.c would be destroyed and made anew (replace by x)" in reasons


def test_what_was_never_finished_is_replaced_unasked() -> None:
    half_made = change("hcloud_server.a", "delete", "create", reason="replace_because_tainted")
    assert reasons_to_ask(plan(half_made)) == ()


def test_a_node_that_never_enrolled_is_replaced_unasked_and_another_one_is_not() -> None:
    found = plan(change("hcloud_server.a", "delete", "create"), change("hcloud_server.b", "delete", "create"))
    (reason,) = reasons_to_ask(found, replaceable=["hcloud_server.a"])
    assert "hcloud_server.b" in reason


def test_every_plan_that_changes_something_is_asked_for_when_the_request_says_so() -> None:
    assert reasons_to_ask(plan(change("a.b", "create")), always=True)
    assert reasons_to_ask(plan(change("a.b", "no-op")), always=True) == ()


def test_what_points_to_a_replaced_node_goes_with_it() -> None:
    node = change('hcloud_server.control_plane["a"]', "delete", "create", reason="replace_by_request")
    pointer = change('hcloud_load_balancer_target.control_plane["a"]', "delete", "create")
    other = change('hcloud_load_balancer_target.control_plane["b"]', "delete", "create")
    (reason,) = reasons_to_ask(plan(node, pointer, other), replaceable=['hcloud_server.control_plane["a"]'])
    assert '"b"' in reason


def test_a_value_that_the_state_keeps_is_no_change_of_the_cloud_and_tells_whether_a_node_can_join() -> None:
    token = {"input": "a-token", "output": "a-token"}
    kept = plan(change("terraform_data.join_token", "no-op", after=token), change("hcloud_server.w2", "create"))
    assert (kept.add, kept.can_join, kept.servers_made()) == (1, True, ("hcloud_server.w2",))
    first = plan(change("terraform_data.join_token", "create", after={"input": "a-token"}))
    assert (first.add, first.changes, first.can_join) == (0, (), True)
    lost = plan(change("terraform_data.join_token", "create", after={"input": ""}))
    assert not lost.can_join
    assert not plan().can_join
    gone = plan(change("terraform_data.join_token", "delete", after=None))
    assert (gone.destroy, gone.removals) == (0, {"terraform_data.join_token"})
