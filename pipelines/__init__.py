"""Turns a manifest into published shards: stages, their order, and publishing."""
