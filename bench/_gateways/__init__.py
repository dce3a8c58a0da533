"""Other gateways and ours under the same stream: how each is installed, configured, run, cut off and killed."""
