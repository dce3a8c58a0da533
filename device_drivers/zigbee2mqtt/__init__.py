"""The zigbee2mqtt driver: any Zigbee device behind zigbee2mqtt, over MQTT."""
