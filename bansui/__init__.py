"""The roof: the `bansui` command, and the demo."""
