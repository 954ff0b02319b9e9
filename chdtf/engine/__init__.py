"""How work on rows runs: stages, shards, journals, chains; in this process, in local processes, on a Ray cluster."""
