"""The peers' own programs; they run in the peers' environment."""
