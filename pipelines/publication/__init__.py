"""What is published: tables, card, lock, report; and other thresholds applied to the same scores."""
