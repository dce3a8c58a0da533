"""Measurements, each printed as a ratio to a peer measured in the same run; not installed, never a test."""
