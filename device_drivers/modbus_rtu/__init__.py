"""The Modbus RTU driver: sensors and meters on RS-485, by a table of their registers."""
