"""An echo server for conformance tests of WebSocket servers, made of the gateway's own parts."""
