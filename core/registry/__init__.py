"""The registry client: names, credentials, transfer."""
