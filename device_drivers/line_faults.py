"""How asking a device fails, on whichever line."""

from telemetry import DeviceFault


class DeviceSilent(DeviceFault):
    """A device that does not answer in time, or does not stop talking."""

    code = "device_silent"


class LineLost(DeviceSilent):
    """The line itself is gone: the device hung up, the adapter was pulled out."""

    code = "line_lost"
