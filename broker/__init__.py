"""The MQTT endpoint that devices connect to: the durable listener, credentials and ACL, and a broker for trials."""
