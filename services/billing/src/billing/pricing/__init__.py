"""What a session costs whom: accounting strategies, who has which, and how a price is found."""
