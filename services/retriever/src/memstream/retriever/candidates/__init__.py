"""Which stored messages may answer a question, and what an answer shows of those it gives."""
