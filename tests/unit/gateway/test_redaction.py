"""What a support bundle withholds by the name of its field, whatever it looks like."""

from gateway.redaction import WITHHELD, clean


def test_the_sealed_first_password_and_the_operators_network_stay_in_the_house() -> None:
    view = {
        "first_login": "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----",
        "shape": {"ssh_allowed_cidrs": ["198.51.100.7/32"], "region": "fsn1"},
    }
    assert clean(view) == {"first_login": WITHHELD, "shape": {"ssh_allowed_cidrs": WITHHELD, "region": "fsn1"}}
