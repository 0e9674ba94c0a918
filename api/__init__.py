"""The Docker Engine API over HTTP, and the engine process that serves it."""
