select kid, public_jwk from signing_keys
