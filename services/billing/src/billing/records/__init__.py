"""Business records: how a session becomes one, and what is asked and told of them."""
