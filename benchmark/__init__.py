"""Scores generated videos against reference clips and writes leaderboard tables."""
