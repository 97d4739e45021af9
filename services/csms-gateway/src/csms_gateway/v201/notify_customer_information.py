"""NotifyCustomerInformation (OCPP 2.0.1, N09 and N10): personal data; see customer_information."""

from csms_gateway.customer_information import ACTION
from csms_gateway.notifications import kept

answer = kept(ACTION)
