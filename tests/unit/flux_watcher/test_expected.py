from pathlib import Path

import pytest

from contracts.kit import BadKit
from flux_watcher.expected import expected_of, load_kit, same_version

CATALOGUE = Path(__file__).parents[3] / "deploy" / "kit" / "catalogue.yaml"


def test_the_kit_of_this_repository_is_a_set_in_dependency_order() -> None:
    names = expected_of(load_kit(CATALOGUE)).names
    assert len(names) == 12
    assert names[0] == "bp-cilium"
    assert names[-1] == "bp-catalyst-platform"


def test_an_optional_component_is_expected_with_what_it_needs_once_it_is_chosen() -> None:
    kit = load_kit(CATALOGUE)
    more = set(expected_of(kit, ["alloy"]).names) - set(expected_of(kit).names)
    assert more == {"bp-alloy", "bp-loki"}


def test_a_catalogue_that_is_no_yaml_or_not_there_is_an_error_before_anything_boots(tmp_path: Path) -> None:
    with pytest.raises(BadKit, match="cannot be read"):
        load_kit(tmp_path / "catalogue.yaml")
    (tmp_path / "catalogue.yaml").write_text("components: [")
    with pytest.raises(BadKit, match="no YAML"):
        load_kit(tmp_path / "catalogue.yaml")


def test_versions_are_compared_without_their_decoration() -> None:
    assert same_version("1.1.3+32359d0f97a6", "1.1.3")
    assert same_version("v1.21.2", "1.21.2")
    assert not same_version("1.21.2", "1.21.3")
    assert not same_version("", "")
