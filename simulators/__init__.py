"""Devices on the wire, with physics, ground truth and faults; written from the formats, never from a decoder."""
