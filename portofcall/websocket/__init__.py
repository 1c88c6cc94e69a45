"""RFC 6455. The only package that knows Autobahn."""
