"""Measures coupon_guard on the server of the PG* environment variables. Started by scripts/bench."""
