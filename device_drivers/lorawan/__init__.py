"""The LoRaWAN driver: sensors behind ChirpStack or The Things Stack, over MQTT."""
