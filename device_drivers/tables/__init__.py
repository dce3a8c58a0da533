"""Drivers that are a table: one file a kind of format, each with what the table may say and what reads by it."""
