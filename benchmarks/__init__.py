"""Speed and memory of rnnzoo, beside its peers; see README.md in this folder."""
