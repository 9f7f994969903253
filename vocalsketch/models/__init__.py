"""Networks: torch only, no training and no data."""
