"""The log on Apache Kafka, through kafka-python; docs/decisions/0020 says why it is as it is."""
