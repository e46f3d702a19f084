"""Asks both services what their OpenAPI documents allow and forbid, on a stack of its own."""
