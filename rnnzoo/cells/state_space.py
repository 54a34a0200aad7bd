"""Linear state-space cells."""
