"""Whether a project is complete, and whether a device gives the numbers that this machine gives."""
