"""Devices that describe themselves as Home Assistant's MQTT discovery asks."""
