"""The LoRaWAN driver: sensors behind ChirpStack v4 or The Things Stack v3, over MQTT."""
