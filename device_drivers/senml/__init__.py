"""Devices that publish SenML."""
