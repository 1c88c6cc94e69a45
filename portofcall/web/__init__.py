"""HTTP: the server, the responses, the API and the WebSocket upgrade."""
