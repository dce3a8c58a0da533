"""A simulated school day in about two minutes, with an outage and a kill, and the balance of it at the end."""
