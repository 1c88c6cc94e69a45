"""The numbers, and what is counted against them."""
