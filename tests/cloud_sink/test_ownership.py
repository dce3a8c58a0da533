"""Whose a device is: one agent tells of it, and after that one's end the one that follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry.uplink_contract import APPLIED_HEADER
from tests.cloud_sink.support import CONFIG, EPOCH, NOON_MS, QUARTER_MS, refused, running_centre, sealed, summary

if TYPE_CHECKING:
    from pathlib import Path


def test_a_device_of_another_agent_is_unprocessable(tmp_path: Path) -> None:
    shared = CONFIG.replace('school = "cn-014"', 'school = "cn-002"')
    with running_centre(tmp_path, config=shared) as centre:
        assert centre.post(sealed(summary())).status_code == 204
        theirs = centre.post(sealed(summary(start_ms=NOON_MS - QUARTER_MS)), agent="edge-2", bucket="cn-002")
        assert "another agent" in str(refused(theirs, 422, "unprocessable entity")["message"])
        own = summary(device="co2-b")
        assert centre.post(sealed(own), agent="edge-2", bucket="cn-002", key=f"{EPOCH}-2").status_code == 204


def test_a_device_of_a_batch_that_was_not_stored_is_nobodys(tmp_path: Path) -> None:
    shared = CONFIG.replace('school = "cn-014"', 'school = "cn-002"')
    with running_centre(tmp_path, config=shared) as centre:
        centre.write(summary())
        other = sealed(summary(device="co2-b"))
        assert centre.post(other).status_code == 409, "its number is taken by other bytes"
        assert centre.post(other, agent="edge-2", bucket="cn-002").status_code == 204


def test_people_of_one_campus_are_counted_by_one_agent_alone(tmp_path: Path) -> None:
    """Each agent has a ledger of its own: what two told of one campus would cost a person the budget twice."""
    shared = CONFIG.replace('school = "cn-014"', 'school = "cn-002"')
    count = summary(
        "people_count",
        NOON_MS,
        {"value": 41, "error95": 13, "band": 1},
        room="all",
        device="campus",
        window_s=3600,
    )
    with running_centre(tmp_path, config=shared) as centre:
        centre.write(count)
        for sequence in (1, 2):
            theirs = centre.post(sealed(count), sequence, agent="edge-2", bucket="cn-002")
            said = str(refused(theirs, 422, "unprocessable entity")["message"])
            assert "people counts of 'campus' are told by agent 'edge-1'" in said
        own = sealed(summary(device="co2-b"))
        assert centre.post(own, 3, agent="edge-2", bucket="cn-002").headers[APPLIED_HEADER] == f"{EPOCH}-3"


def test_the_devices_of_an_agent_that_is_gone_are_its_successors(tmp_path: Path) -> None:
    with running_centre(tmp_path) as centre:
        centre.write(summary())
    named_anew = CONFIG.replace('id = "edge-1"', 'id = "edge-3"')
    with running_centre(tmp_path, config=named_anew) as centre:
        assert centre.post(sealed(summary(start_ms=NOON_MS - QUARTER_MS))).status_code == 204
        centre.settle()
        room = centre.client.get("/api/v1/places").json()["schools"][0]["rooms"][0]
        assert room["devices"] == [{"id": "co2-a-301", "agent": "edge-3"}]
    shared = named_anew.replace('school = "cn-014"', 'school = "cn-002"')
    with running_centre(tmp_path, config=shared) as centre:
        theirs = centre.post(sealed(summary(start_ms=NOON_MS - QUARTER_MS)), agent="edge-2", bucket="cn-002")
        refused(theirs, 422, "unprocessable entity")


def test_a_stored_batch_of_the_school_an_agent_was_at_is_acknowledged(tmp_path: Path) -> None:
    """Its answer got lost, and the agent stands in another school by now: it would send the batch for ever."""
    with running_centre(tmp_path) as centre:
        assert centre.post(sealed(summary()), bucket="cn-002").status_code == 204
    moved = CONFIG.replace('id = "edge-1"\nschool = "cn-002"', 'id = "edge-1"\nschool = "cn-014"')
    with running_centre(tmp_path, config=moved) as centre:
        answer = centre.post(sealed(summary()), bucket="cn-014")
        assert (answer.status_code, answer.headers[APPLIED_HEADER]) == (204, f"{EPOCH}-1")
        refused(centre.post(sealed(summary(start_ms=NOON_MS + QUARTER_MS)), 1, bucket="cn-014"), 403, "forbidden")
        refused(centre.post(sealed(summary()), 2, bucket="cn-014"), 403, "forbidden")
