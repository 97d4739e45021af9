"""What a message, a session and a socket cost, beside a bare server on the ocpp package."""
