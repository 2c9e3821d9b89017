"""What may be read over HTTP: readiness, status, metrics, OpenAPI, the console. Nothing here changes anything."""
