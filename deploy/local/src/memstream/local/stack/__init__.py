"""The embedded stack: every part of Memstream as a child process of one supervisor."""
