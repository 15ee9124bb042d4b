"""The host: whatever touches time, disk, devices and print."""
