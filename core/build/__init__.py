"""Dockerfiles: read, planned as a graph of stages, carried out as containers and layers."""
