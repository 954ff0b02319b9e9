"""Leaderboards: score rows to CSV, Markdown, LaTeX, terminal, the Hub's YAML and the data of the HTML page."""
