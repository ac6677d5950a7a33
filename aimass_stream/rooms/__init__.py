"""Other people's meetings that this server joins: `ports` is what an adapter has to do, `janus` the first of them."""
