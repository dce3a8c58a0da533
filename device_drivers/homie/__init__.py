"""Devices that follow the Homie convention."""
