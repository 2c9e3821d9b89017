"""The API of this server's own models, described as OpenAPI."""
