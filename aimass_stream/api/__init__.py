"""REST: one file a resource, errors as problem details (RFC 9457), described by /openapi.json."""
