"""What a question asks: its words, the people and times it names, and its vector."""
