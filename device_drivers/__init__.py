"""Drivers: what turns the bytes of a device into measurements, and how a vendor adds one."""
