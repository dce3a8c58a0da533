"""Reads a school's lesson timetable and its holidays from the files that schools have, for `[timetable]`."""
