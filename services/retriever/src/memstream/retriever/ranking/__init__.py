"""From candidates to ranked messages: features, evidence, relevance and order. Pure."""
