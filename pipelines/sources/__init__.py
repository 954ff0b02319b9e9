"""Where lists come from: other people's formats, and searches by recipe."""
