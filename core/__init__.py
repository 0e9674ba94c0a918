"""The engine: containers, images, networks, and what happens to them."""
