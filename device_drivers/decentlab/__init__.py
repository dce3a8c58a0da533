"""Decentlab sensors of air, light and temperature."""
