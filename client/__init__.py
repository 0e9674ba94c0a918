"""One small client of the engine: unix socket, ssh, tcp with TLS."""
