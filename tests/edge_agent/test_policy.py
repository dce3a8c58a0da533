"""A privacy policy is data: the shipped ones hold, and none can be looser than the floor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_agent.config_file import load
from edge_agent.privacy.classes import classify
from edge_agent.privacy.rules import Rule
from edge_agent.privacy.treatment import Fate, Why, treatment, treatments
from telemetry import FIELDS, ConfigurationError, Placement, PrivacyClass, Role, quantities, quantity
from telemetry.policy import SHIPPED, load_policy, shipped_policy
from telemetry.spans import Span
from telemetry.table_file import ConfigurationMistakes
from tests.edge_agent.running import configure

if TYPE_CHECKING:
    from pathlib import Path

STRICT = shipped_policy("strict").read_text()


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_policy_is_whole(name: str, tmp_path: Path) -> None:
    policy = load_policy(name, tmp_path)
    assert policy.name == name
    for privacy_class in set(PrivacyClass) - {PrivacyClass.X}:
        table = policy.table(privacy_class)
        assert table is not None
        assert table.purpose.text("zh") != table.purpose.text("en")
    assert policy.table(PrivacyClass.X) is None
    counts = policy.tables.P2
    assert (counts.export == "none") == (name == "strict")


def test_a_policy_decides_windows_fields_and_steps(tmp_path: Path) -> None:
    """Coarser than the floor is what a policy may be."""
    (tmp_path / "own.toml").write_text(
        STRICT.replace('name = "strict"', 'name = "own"')
        .replace('window = "timetable"', 'window = "day"')
        .replace('fields = ["mean", "delta", "on_permille"]', 'fields = ["mean"]')
        .replace("carbon_dioxide = 50", "carbon_dioxide = 200")
    )
    policy = load_policy("own.toml", tmp_path)
    rule = Rule(quantity("carbon_dioxide"), PrivacyClass.P1, policy)
    assert rule.span is Span.DAY
    assert rule.told({"mean": 690, "max": 900, "n": 3, "expected": 4}) == {"mean": 600, "n": 3, "expected": 4}
    assert Rule(quantity("occupancy"), PrivacyClass.P1, policy).told({"on_permille": 400, "n": 1}) == {"n": 1}


@pytest.mark.parametrize(
    ("before", "after", "place", "sentence"),
    [
        ("version = 1", "version = 0", "version", "has to be 1 or more"),
        ('["pm1", "pm25"', '["people", "pm25"', "P1.outside_hours[1]", "no quantity of this name is told"),
        ('window = "timetable"', 'window = "minute"', "P1.window", "finer than this class may be told"),
        ('window = "day"', 'window = "hour"', "Db.window", "allowed: day"),
        ('window = "day"', 'window = "day"\nhourly = ["switch"]', "Db.hourly", "finer than this class may be told"),
        ('fields = ["mean", "delta", "on_permille"]', 'fields = ["mean", "max"]', "P1.fields[2]", "may not be told"),
        ("carbon_dioxide = 50", "carbon_dioxide = 10", "P1.steps.carbon_dioxide", "rounded to 50 ppm or more"),
        (", sound_pressure = 1", "", "P1.steps", "sound_pressure is to be rounded"),
        ('"current"]\npurpose = { zh = "改善', '"voltage"]\npurpose = { zh = "改善', "P1.hourly", "add current"),
        ('hourly = ["power"', '# hourly = ["power"', "P1.hourly", "would let more be told"),
        ("carbon_dioxide = 50", "carbon_dioxide = inf", "P1.steps.carbon_dioxide", "write 1 to 9700 ppm"),
        ("carbon_dioxide = 50", "carbon_dioxide = 50, humidity = 0.01", "P1.steps.humidity", "write 0.1 to 100 %"),
        ("carbon_dioxide = 50", "carbon_dioxid = 50", "P1.steps.carbon_dioxid", "no quantity of this name is told"),
        ('export = "none"', 'export = "exact"', "P2.export", "not one of the choices"),
        ('export = "none"', 'export = "room"\nrho_milli = 0', "P2.rho_milli", "has to be 1 or more"),
        ('export = "none"', 'export = "room"\nbands = [50, 20]', "P2", "bands rise"),
        ("[S] # safety", '[X]\nwindow = "day"\n[S] # safety', "X", "no such key"),
        ("form = 1", "form = 2", "form", "not one of the choices"),
    ],
)
def test_what_is_looser_than_the_floor_is_a_mistake_with_its_line(
    tmp_path: Path, before: str, after: str, place: str, sentence: str
) -> None:
    assert before in STRICT
    (tmp_path / "own.toml").write_text(STRICT.replace(before, after, 1))
    with pytest.raises(ConfigurationMistakes) as caught:
        load_policy("own.toml", tmp_path)
    message = str(caught.value)
    assert f": {place}: " in message
    assert sentence in message
    assert "own.toml:" in message


def test_an_agent_names_its_policy(tmp_path: Path) -> None:
    """Its own file counts from the configuration's folder; a change of it changes the configuration's hash."""
    path = configure(tmp_path)
    strict = load(path)
    assert strict.policy.name == "strict"
    path.write_text(path.read_text() + '\n[privacy]\npolicy = "own.toml"\n')
    own = path.parent / "own.toml"
    digests = set()
    for days in (300, 301):
        own.write_text(STRICT.replace("retention_days = 1095", f"retention_days = {days}"))
        digests.add(load(path).digest)
    assert len(digests) == 2
    path.write_text(path.read_text().replace("own.toml", "lax"))
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert "privacy.policy: no policy is called 'lax'" in str(caught.value)


def test_every_quantity_has_a_rule_under_every_policy(tmp_path: Path) -> None:
    for name in SHIPPED:
        policy = load_policy(name, tmp_path)
        for entry in quantities():
            for privacy_class in PrivacyClass:
                told = Rule(entry, privacy_class, policy).told({"value": 1, "mean": 1, "n": 1, "expected": 1})
                assert "value" not in told, "a count leaves with its noise, or not at all"


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("placement", Placement)
@pytest.mark.parametrize("role", Role)
def test_what_is_explained_is_what_is_done(name: str, placement: Placement, role: Role, tmp_path: Path) -> None:
    """By the same rule: what a treatment says leaves is what the rule lets through, and no more."""
    policy = load_policy(name, tmp_path)
    rules = {each.id: Rule(each, classify(each, placement, role), policy) for each in quantities()}
    found = treatments(rules, role, policy)
    assert sorted(name for names in found.values() for name in names) == sorted(rules)
    for each, names in found.items():
        for quantity_id in names:
            rule = rules[quantity_id]
            assert each == treatment(rule, role, policy)
            assert set(each.fields) == set(rule.told(dict.fromkeys(FIELDS, 1000)))
            assert (each.fate is Fate.WINDOWS) == bool(each.fields)
            assert (each.span is None) == (not each.fields)
            assert (each.why is Why.LEAST) == (rule.privacy_class is rule.quantity.least_class)
