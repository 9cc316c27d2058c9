"""The engine: requests with keys, a cache, and processes that compute."""
