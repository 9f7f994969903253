"""Sound search by vocal imitation (Zhang, Pardo and Duan, TASLP 2018)."""

__version__ = "0.1.0"
