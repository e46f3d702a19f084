"""The local stack: all services of Memstream and what they depend on, as processes of one supervisor."""
