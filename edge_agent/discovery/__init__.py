"""Devices that nobody has placed yet: what announces itself becomes a proposal, and nothing of it a reading.

Proposals are for whoever places devices on this box: they are in memory alone, never in a log, a store or a batch.
"""
