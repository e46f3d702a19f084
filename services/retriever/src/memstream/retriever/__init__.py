"""Answers what a user's past says about a question."""
