"""The HTTP shell around the services: processes, TLS, the ASGI edge, logs, metrics, health, and the one pipeline."""
