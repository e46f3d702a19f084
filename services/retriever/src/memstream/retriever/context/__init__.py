"""From ranked messages to a text that a prompt can hold."""
