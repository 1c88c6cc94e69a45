"""What the operator sees and changes while a gateway runs, over HTTP on a listener of its own."""
