"""The driver of headsets that run Android, by what they print over adb."""
