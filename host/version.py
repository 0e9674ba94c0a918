"""The version, as pyproject.toml has it (a test compares them).

importlib.metadata would find it too, and costs a short command a third of its time.
"""

VERSION = "0.1.0"
