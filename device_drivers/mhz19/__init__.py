"""The MH-Z19 driver: Winsen CO2 sensors, asked over a serial line."""
