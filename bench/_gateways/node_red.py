"""Node-RED: mqtt in, json, mqtt out, tuned for durable operation as far as its documentation goes (nodered.org/docs).

QoS 1 both ways, lasting sessions under fixed client ids, context on the local file system; no editor. Node-RED has no
store of its own for messages that wait.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final

from bench._gateways.environments import NODE_RED_VERSION, NODE_VERSION, node_red
from bench._gateways.mqtt_remote import ForwardingSite
from bench._processes import HOST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bench._gateways.mqtt_remote import MqttRemote

_SETTINGS: Final = """module.exports = {
    flowFile: "flows.json",
    httpAdminRoot: false,
    httpNodeRoot: false,
    disableEditor: true,
    contextStorage: { default: { module: "localfilesystem" } },
    logging: { console: { level: "warn" } },
};
"""


class NodeRed(ForwardingSite):
    """One Node-RED with its folder."""

    name = f"Node-RED {NODE_RED_VERSION}, Node.js {NODE_VERSION}"

    def __init__(self, folder: Path, broker: int, uplink: int, remote: MqttRemote) -> None:
        super().__init__(folder, remote)
        (folder / "settings.js").write_text(_SETTINGS)
        (folder / "flows.json").write_text(json.dumps(_flow(broker, uplink)))

    def command(self) -> Sequence[str]:
        """As the base says."""
        node, script = node_red()
        return [str(node), str(script), "--userDir", str(self.folder), "--settings", str(self.folder / "settings.js")]

    def environment(self) -> Mapping[str, str]:
        """As the base says."""
        return os.environ


def _flow(broker: int, uplink: int) -> object:
    return [
        {"id": "tab", "type": "tab", "label": "forward"},
        _broker("devices", broker),
        _broker("centre", uplink),
        {
            "id": "take",
            "type": "mqtt in",
            "z": "tab",
            "topic": "zigbee2mqtt/+",
            "qos": "1",
            "datatype": "utf8",
            "broker": "broker-devices",
            "inputs": 0,
            "wires": [["parse"]],
        },
        {"id": "parse", "type": "json", "z": "tab", "property": "payload", "action": "obj", "wires": [["send"]]},
        {
            "id": "send",
            "type": "mqtt out",
            "z": "tab",
            "topic": "remote/readings",
            "qos": "1",
            "broker": "broker-centre",
            "wires": [],
        },
    ]


def _broker(name: str, port: int) -> object:
    return {
        "id": f"broker-{name}",
        "type": "mqtt-broker",
        "name": name,
        "broker": HOST,
        "port": str(port),
        "clientid": f"node-red-{name}",
        "autoConnect": True,
        "usetls": False,
        "protocolVersion": "4",
        "keepalive": "60",
        "cleansession": False,
        "autoUnsubscribe": False,
    }
