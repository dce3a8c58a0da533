"""Bluetooth sensors that a gateway with OpenMQTTGateway or Theengs Gateway hears."""
