"""The Plantower driver: particle sensors that stream over a serial line."""
