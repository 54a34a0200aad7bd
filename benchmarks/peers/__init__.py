"""The peers that rnnzoo is measured against, one adapter per file."""
