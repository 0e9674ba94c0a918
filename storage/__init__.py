"""Blobs, layers, snapshots, images, volumes and the database."""
