"""The SteamVR driver: whether a computer and its headset are in use, over MQTT."""
