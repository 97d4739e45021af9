"""Foreign issuers of cards: who they are, the cards they push, and what they say when asked."""
