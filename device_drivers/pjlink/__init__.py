"""The PJLink driver: projectors and displays that are asked over TCP."""
