"""A user's messages in time order."""
