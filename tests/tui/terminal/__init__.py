"""What terminals send, and what is sent to them."""
