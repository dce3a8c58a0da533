"""Devices that run the Tasmota firmware."""
