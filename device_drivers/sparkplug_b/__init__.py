"""Edge nodes that speak Sparkplug B."""
