"""The IoT centre: inbox, stores, catalogue, API and pages."""
