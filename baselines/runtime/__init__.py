"""What runs under upstream's own Python (3.8 or later): standard library only, nothing else of this project."""
