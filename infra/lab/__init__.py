"""The lab: private instances of the engines that tests, benchmarks and developers need.

Each engine lives in a folder of the checkout's own, on loopback ports of its own; system services stay alone.
"""
