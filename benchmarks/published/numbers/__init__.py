"""The numbers: a file each, whose `get_config()` says what is measured and what is expected."""
