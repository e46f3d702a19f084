"""What Memstream's parts say to each other: events, keys, HTTP bodies, ids."""
