"""Brings sources in: what a list may reach, how yt-dlp is asked, and what became of every address."""
