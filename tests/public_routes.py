"""The routes that ask for no token: those that give one, and what anybody may know."""

PUBLIC = {
    ("post", "/v1/token"),
    ("post", "/v1/token/refresh"),
    ("post", "/v1/token/revoke"),
    ("post", "/v1/token/api-key"),
    ("post", "/v1/token/passkey"),
    ("post", "/v1/token/passkey/options"),
    ("post", "/v1/token/oidc/begin"),
    ("post", "/v1/token/oidc/finish"),
    ("post", "/v1/invitations/accept"),
    ("post", "/v1/password-resets"),
    ("post", "/v1/password-resets/complete"),
    ("post", "/v1/registrations"),
    ("post", "/v1/registrations/confirm"),
    ("post", "/v1/email-changes/confirm"),
    ("get", "/.well-known/jwks.json"),
    ("get", "/v1/public/operators/{operator_id}"),
    ("get", "/v1/public/operators/{operator_id}/logo"),
    ("get", "/v1/public/locations/{location_id}/photos/{photo_id}"),
}
