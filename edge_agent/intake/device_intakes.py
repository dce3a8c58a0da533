"""Makes the intakes that go to their devices, as a configuration names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device_drivers.contract import StreamDriver
from device_drivers.registry import discover
from edge_agent.intake.exec_program import ExecIntake
from edge_agent.intake.modbus_tcp_poll import ModbusTcpIntake
from edge_agent.intake.polling import Polled
from edge_agent.intake.serial_line import SerialIntake
from edge_agent.intake.serial_poll import SerialPollIntake
from edge_agent.intake.tcp_poll import TcpPollIntake

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_agent.admission import Admission
    from edge_agent.config import SerialTable, TcpTable
    from edge_agent.config_file import LoadedConfiguration
    from edge_agent.events import Batch
    from edge_agent.intake import DeviceIntake
    from telemetry import Clock


def device_intakes(
    loaded: LoadedConfiguration, admission: Admission, clock: Clock, deliver: Callable[[Batch], None]
) -> list[tuple[str, DeviceIntake]]:
    """An intake, and its name, for each device that is gone to, and each line or address whose devices are asked."""
    intakes: list[tuple[str, DeviceIntake]] = []
    shared: dict[str, tuple[SerialTable, list[Polled]]] = {}
    modbus: dict[tuple[str, int], tuple[TcpTable, list[Polled]]] = {}
    drivers = discover()
    for device in loaded.tables.device:
        binding, guard = admission.bindings[device.id], admission.guard
        if device.serial is not None and isinstance(binding.driver, StreamDriver):
            serial = SerialIntake(binding, device.serial, guard, clock=clock, deliver=deliver)
            intakes.append((device.id, serial))
        elif device.exec is not None:
            assert binding.program is not None
            program = ExecIntake(binding, binding.program, device.exec, clock=clock, deliver=deliver)
            intakes.append((device.id, program))
        elif device.mqtt is None:
            polled = Polled(binding, guard, clock=clock, deliver=deliver)
            if device.serial is not None:
                shared.setdefault(device.serial.port, (device.serial, []))[1].append(polled)
            elif device.tcp is not None and drivers[device.driver].manifest.speaks_modbus:
                address = device.tcp.host.casefold(), device.tcp.port
                modbus.setdefault(address, (device.tcp, []))[1].append(polled)
            elif device.tcp is not None:
                intakes.append((device.id, TcpPollIntake(device.tcp, polled, clock)))
    intakes += [(port, SerialPollIntake(line, polled, clock)) for port, (line, polled) in shared.items()]
    intakes += [(_name(tcp), ModbusTcpIntake(tcp, polled, clock)) for tcp, polled in modbus.values()]
    return intakes


def _name(address: TcpTable) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port}"
