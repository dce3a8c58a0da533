"""The VR station driver: the health of a classroom headset, over MQTT."""
