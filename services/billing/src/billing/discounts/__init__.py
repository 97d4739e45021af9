"""Discounts and price events: made by staff, found when a session begins, granted at its end."""
