"""The sample catalogue holds together."""

from decimal import Decimal

from sandbox.hetzner.catalogue import Catalogue, is_past


def test_every_location_sells_current_types_and_the_images_fit_their_architectures() -> None:
    catalogue = Catalogue()
    for name in catalogue.location_named:
        sold = [
            t for t in catalogue.server_types.values() if (offer := catalogue.offer(t, name)) and offer["available"]
        ]
        assert len(sold) >= 5, name
    architectures = {t["architecture"] for t in catalogue.server_types.values()}
    assert architectures == {"x86", "arm"}
    for architecture in architectures:
        image = catalogue.image("ubuntu-24.04", architecture)
        assert image is not None
        assert image["architecture"] == architecture


def test_prices_are_strings_and_retired_types_say_since_when() -> None:
    catalogue = Catalogue()
    retired = catalogue.server_type("cx22")
    assert retired is not None
    assert retired["deprecated"]
    assert is_past(retired["deprecation"]["unavailable_after"])
    for server_type in catalogue.server_types.values():
        assert {p["location"] for p in server_type["prices"]} == {offer["name"] for offer in server_type["locations"]}
        for price in server_type["prices"]:
            net, gross = price["price_monthly"]["net"], price["price_monthly"]["gross"]
            assert isinstance(net, str)
            assert Decimal(gross) > Decimal(net) > 0
