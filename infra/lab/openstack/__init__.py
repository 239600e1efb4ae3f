"""The lab's OpenStack: Keystone, Placement, Nova, Glance, Cinder and Neutron as plain processes on loopback.

Everything but the hypervisor, the disks and the switches is real. `engine` is what `siji lab` calls.
"""
