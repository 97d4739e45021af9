"""NotifySettlement (OCPP 2.1, C19 to C22): what a payment terminal settled, kept as told.

Answered without a receipt: the suite writes none for what it did not settle itself.
"""

from csms_gateway import notifications

answer = notifications.kept("NotifySettlement")
