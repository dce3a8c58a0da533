"""A vendor's distribution, built and installed as it would be: its drivers work beside ours, unchanged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from device_drivers.manifest import parse
from tests.broker.device import Device, connect, publish
from tests.edge_agent.running import LISTENER, configure
from tests.support.processes import BANSUI, run_bansui
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.processes import Processes

PROJECT: Final = Path(__file__).parent / "acme_bansui"
DRIVERS: Final = ("acme_co2", "acme_meter", "acme_probe")
"""A table, code, and a program in shell."""

METER: Final = '''
from device_drivers.contract import Decoded, FrameRefused, Measurement


def create(settings):
    return Meter()


class Meter:
    """A meter that publishes its power as bare text."""

    def decode(self, frame):
        try:
            return Decoded.of([Measurement("power", float(frame.payload))])
        except ValueError:
            raise FrameRefused("malformed", "the message is not a number") from None
'''
"""The code of one of them, against the contract alone."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip put the wheel that it built from the vendor's project; without an index, so without a network."""
    folder = tmp_path_factory.mktemp("vendor")
    project = shutil.copytree(PROJECT, folder / "project")
    (project / "acme_bansui/acme_meter/driver.py").write_text(METER)
    _pip("wheel", "--no-index", "--no-build-isolation", "--no-deps", "--wheel-dir", folder, project)
    [wheel] = folder.glob("acme_bansui-2.1.0-*.whl")
    _pip("install", "--no-index", "--no-deps", "--target", folder / "site", wheel)
    shutil.rmtree(project)
    return folder / "site"


def _pip(*arguments: object) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def _environment(site: Path) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join((str(PROJECT.parent.parent.parent), str(site)))}


def test_its_drivers_are_listed_beside_ours(site: Path) -> None:
    done = run_bansui("driver", "list", "--json", env=_environment(site))
    assert done.returncode == 0, done.stderr
    found = {entry["id"]: entry for entry in json.loads(done.stdout)}
    assert found.keys() >= {*DRIVERS, "zigbee2mqtt"}
    for name in DRIVERS:
        assert (found[name]["source"], found[name]["version"], found[name]["error"]) == ("acme-bansui", "2.1.0", None)


def test_its_recorded_frames_decode_to_what_they_expect(site: Path) -> None:
    cases = site / "acme_bansui/acme_co2/fixtures/cases.jsonl"
    done = run_bansui("driver", "decode", "--cases", str(cases), "--json", env=_environment(site))
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[0])
    readings = {reading["quantity"]: reading["value"] for reading in result["readings"]}
    expected = json.loads(cases.read_text().splitlines()[0])["expect"]
    assert (readings, result["dropped"]) == (expected["readings"], expected["dropped"])


def test_it_passes_the_conformance_suite_where_it_is_installed(site: Path) -> None:
    done = run_bansui("driver", "test", "acme_co2", "--json", env=_environment(site), timeout=120)
    assert done.returncode == 0, done.stdout
    (report,) = json.loads(done.stdout)
    assert (report["driver"], report["grade"]) == ("acme_co2", "gold")


def test_what_is_written_for_another_contract_says_so(site: Path, tmp_path: Path) -> None:
    """A package that is older or newer than the contract is listed with the reason, and takes no other with it."""
    later = shutil.copytree(site, tmp_path / "site")
    manifest = later / "acme_bansui/acme_meter/driver.toml"
    manifest.write_text(manifest.read_text().replace("contract = 1", "contract = 2"))
    done = run_bansui("driver", "list", "--json", env=_environment(later))
    found = {entry["id"]: entry["error"] for entry in json.loads(done.stdout)}
    assert "driver.contract" in found["acme_meter"]["what"]
    assert found["acme_meter"]["why"] == "this Bansui has driver contract 1"
    assert found["acme_co2"] is None


async def test_an_agent_runs_with_it(site: Path, tmp_path: Path, processes: Processes) -> None:
    """Each driver's own sample as the configuration; readings of all three are on disk, and each is accounted for."""
    environment = _environment(site)
    samples = [
        parse((site / f"acme_bansui/{name}/driver.toml").read_text(), name).sample.replace(
            "room =", "cadence_s = 1\nroom ="
        )
        for name in DRIVERS
    ]
    listener = LISTENER.replace("zigbee2mqtt/#", "acme/#")
    config = configure(tmp_path / "agent", listener, *samples)
    valid = run_bansui("agent", "validate", "--config", str(config), env=environment)
    assert valid.returncode == 0, valid.stderr
    command = (*BANSUI, "agent", "run", "--json", "--config", str(config))
    agent = processes.start(*command, env=environment)
    await until(lambda: "ready" in agent.stdout, 60)
    told = json.loads(agent.stdout)
    device = await Device.dial(told["listener_port"])
    await device.send(connect("bridge", username="bridge"))
    await device.read_packet()
    await device.send(publish("acme/co2", b'{"co2": 812, "temp": 68, "led": 1}', packet_id=1))
    await device.send(publish("acme/meter", b"41.5", packet_id=2) + publish("acme/meter", b"no number", packet_id=3))
    await device.pubacks(3)
    await until(lambda: _health(told["health"])["admitted"] >= 4, 60)
    await device.close()
    agent.terminate(60)
    audit = run_bansui("audit", "--config", str(config), "--json", env=environment)
    assert audit.returncode == 0, audit.stdout
    devices = json.loads(audit.stdout)["devices"]
    assert devices["acme-co2-1"]["admitted"] == 2
    assert devices["acme-meter-1"]["admitted"] == 1
    assert devices["acme-probe-1"]["admitted"] >= 1


def _health(url: str) -> dict[str, int]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return dict(json.load(answer))
