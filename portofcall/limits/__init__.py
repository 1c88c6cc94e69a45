"""The limits, and the counters that enforce them."""
