"""LoRaWAN network servers: the envelopes in which they publish the few bytes that a sensor sent."""
