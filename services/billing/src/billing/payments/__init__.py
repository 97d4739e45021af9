"""Money that comes in and goes back: top-ups, bank statements, bonus credit, refunds, chargebacks.

Every journal of it has an event id of the fact that it tells of, so whatever is done or told twice
is booked once.
"""
