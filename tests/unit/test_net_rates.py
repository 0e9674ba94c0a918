"""Rates of `/bay/networks` are made of two readings that are neither too near nor too far apart."""

from __future__ import annotations

from bayplan.core import netlive
from bayplan.netns.counters import Counters


def test_rates_are_per_second_since_the_reading_before() -> None:
    first = netlive._advanced(None, Counters(rx_bytes=1000, tx_packets=5), 10.0)
    assert first.rates is None
    second = netlive._advanced(first, Counters(rx_bytes=4000, tx_packets=6), 12.0)
    assert second.rates == {"rx_bytes": 1500, "tx_bytes": 0, "rx_packets": 0, "tx_packets": 0.5}


def test_a_reading_that_follows_at_once_leaves_the_rates() -> None:
    first = netlive._advanced(None, Counters(), 10.0)
    second = netlive._advanced(first, Counters(rx_bytes=100), 11.0)
    assert netlive._advanced(second, Counters(rx_bytes=101), 11.1) is second


def test_after_a_while_without_readers_rates_start_anew() -> None:
    first = netlive._advanced(None, Counters(), 10.0)
    assert netlive._advanced(first, Counters(rx_bytes=100), 100.0).rates is None


def test_the_other_end_of_a_cable_receives_what_this_one_sends() -> None:
    turned = Counters(rx_bytes=1, tx_bytes=2, rx_dropped=3).turned()
    assert (turned.tx_bytes, turned.rx_bytes, turned.tx_dropped) == (1, 2, 3)
