"""What the tests of every room share: processes that end, waiting with a deadline, a real Mosquitto."""
