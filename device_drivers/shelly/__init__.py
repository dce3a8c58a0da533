"""Shelly relays, plugs, meters and sensors of the second generation and later."""
