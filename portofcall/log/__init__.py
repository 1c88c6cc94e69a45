"""What happens in a gateway, as lines in its log."""
