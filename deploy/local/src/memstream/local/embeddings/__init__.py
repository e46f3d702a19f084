"""A server with OpenAI's embeddings API over models that run on this machine's processor.

`python -m memstream.local.embeddings --help` starts it; `minilm.MiniLm` and `wordllama.WordLlama` are the same models
without the server.
"""
