"""The leaderboard's HTML page: one file beside leaderboard.csv that opens from disk and asks for nothing outside."""

from benchmark.page.page import PAGE, write_page

__all__ = ["PAGE", "write_page"]
