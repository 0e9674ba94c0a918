"""Bridges, veths, addresses, firewall maps."""
