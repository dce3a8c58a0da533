"""The yearly account of what left a school, for the audit of minors' personal information."""
