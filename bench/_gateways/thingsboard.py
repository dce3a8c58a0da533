"""ThingsBoard IoT Gateway, tuned for durable operation as its documentation says (thingsboard.io/docs/iot-gateway).

SQLite storage; QoS 1 to the remote; the MQTT connector with a lasting session ("cleanStart", "cleanSession",
"sessionExpiryInterval" of its guide), QoS 1; statistics and remote configuration off, which both cost and serve nobody
here; payloads as large as ThingsBoard takes. Everything else is as it is shipped.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final

from bench._gateways.environments import THINGSBOARD_VERSION, thingsboard_python
from bench._gateways.mqtt_remote import ForwardingSite
from bench._processes import HOST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bench._gateways.mqtt_remote import MqttRemote

_START: Final = "from thingsboard_gateway.tb_gateway import daemon; daemon()"
_LARGEST_PAYLOAD: Final = 65_536


class ThingsBoard(ForwardingSite):
    """One gateway with its folder."""

    name = f"ThingsBoard Gateway {THINGSBOARD_VERSION}, sqlite"

    def __init__(self, folder: Path, broker: int, uplink: int, remote: MqttRemote) -> None:
        super().__init__(folder, remote)
        for name in ("config", "logs", "data"):
            (folder / name).mkdir()
        self._write("tb_gateway.json", _general(uplink))
        self._write("mqtt.json", _connector(broker))
        self._write("logs.json", _LOGS)

    def command(self) -> Sequence[str]:
        """As the base says."""
        return [str(thingsboard_python()), "-c", _START]

    def environment(self) -> Mapping[str, str]:
        """As the base says."""
        return {**os.environ, "TB_GW_CONFIG_DIR": f"{self.folder}/config/"}

    def _write(self, name: str, document: object) -> None:
        (self.folder / "config" / name).write_text(json.dumps(document))


def _general(uplink: int) -> object:
    return {
        "thingsboard": {
            "host": HOST,
            "port": uplink,
            "remoteShell": False,
            "remoteConfiguration": False,
            "statistics": {"enable": False, "enableCustom": False},
            "maxPayloadSizeBytes": _LARGEST_PAYLOAD,
            "minPackSendDelayMS": 50,
            "minPackSizeToSend": 500,
            "security": {"type": "accessToken", "accessToken": "token"},
            "qos": 1,
            "reportStrategy": {"type": "ON_RECEIVED"},
        },
        "storage": {
            "type": "sqlite",
            "data_file_path": "./data/",
            "messages_ttl_check_in_hours": 1,
            "messages_ttl_in_days": 7,
            "max_read_records_count": 1000,
            "writing_batch_size": 1000,
            "size_limit": 1024,
        },
        "connectors": [{"name": "devices", "type": "mqtt", "configuration": "mqtt.json"}],
    }


def _connector(broker: int) -> object:
    return {
        "broker": {
            "host": HOST,
            "port": broker,
            "clientId": "thingsboard-gateway",
            "version": 5,
            "maxMessageNumberPerWorker": 10,
            "maxNumberOfWorkers": 100,
            "cleanSession": False,
            "cleanStart": False,
            "sessionExpiryInterval": 3600,
            "security": {"type": "anonymous"},
        },
        "mapping": [
            {
                "topicFilter": "zigbee2mqtt/+",
                "subscriptionQos": 1,
                "converter": {
                    "type": "json",
                    "deviceInfo": {
                        "deviceNameExpressionSource": "topic",
                        "deviceNameExpression": "(?<=zigbee2mqtt/)(.*)",
                        "deviceProfileExpressionSource": "constant",
                        "deviceProfileExpression": "default",
                    },
                    "timeout": 60000,
                    "attributes": [],
                    "timeseries": [
                        {"type": "double", "key": "temperature", "value": "${temperature}"},
                        {"type": "integer", "key": "humidity", "value": "${humidity}"},
                        {"type": "integer", "key": "number", "value": "${number}"},
                    ],
                },
            }
        ],
        "requestsMapping": {},
    }


_LOGS: Final = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler", "level": "WARNING", "stream": "ext://sys.stdout"}},
    "root": {"level": "WARNING", "handlers": ["console"]},
}
