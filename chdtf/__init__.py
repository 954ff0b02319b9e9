"""What the data is and how work on it runs: manifests, media, coefficients, shards. Imports no other package here."""
