"""The API's paths, a module per noun."""
