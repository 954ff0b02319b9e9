"""What runs under upstream's own Python (3.8 or later): standard library only, no import of the rest of this project."""
