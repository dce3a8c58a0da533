"""The on-site agent: bytes in, summaries out, nothing lost, nothing doubled, nothing personal."""
