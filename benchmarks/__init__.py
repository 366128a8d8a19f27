"""What performance claims rest on, one command each."""
