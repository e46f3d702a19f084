"""Commands that this distribution adds to `memstream`, if installed with its extra `command`."""
