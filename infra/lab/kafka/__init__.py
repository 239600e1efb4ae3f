"""The lab's Kafka: KRaft brokers on loopback, TLS and SCRAM for clients, nothing allowed without an ACL.

`engine` is what `siji lab` calls; docs/kafka.md tells what is in it.
"""
