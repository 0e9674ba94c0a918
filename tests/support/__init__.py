"""What the tests share: a real engine, a real registry, real images, a terminal, a leak check."""
