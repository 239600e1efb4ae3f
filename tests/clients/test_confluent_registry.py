"""Confluent's own client of a schema registry, in its own HTTP, fetches the catalogue's schemas."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from exchange.schema import json_schema, read_item
from exchange.version_queries import get_version
from infra.database import reading
from infra.installation import Installation
from tests.clients.conftest import DATASET, PortalProcess


@contextmanager
def signed_in(portal: PortalProcess, token: str) -> Iterator[SchemaRegistryClient]:
    """With a system's token; what stands beside it is what Confluent's cloud wants."""
    client = SchemaRegistryClient(
        {
            "url": f"{portal.url}/api/v1/registry",
            "bearer.auth.credentials.source": "STATIC_TOKEN",
            "bearer.auth.token": token,
            "bearer.auth.logical.cluster": "-",
            "bearer.auth.identity.pool.id": "-",
        }
    )
    yield client
    client.close()


@pytest.fixture
def client(portal: PortalProcess, token: str) -> Iterator[SchemaRegistryClient]:
    with signed_in(portal, token) as found:
        yield found


def test_it_finds_a_schema_by_subject_and_by_the_id_beside_a_record(
    client: SchemaRegistryClient, installation: Installation
) -> None:
    with reading(installation.engine) as session:
        version = get_version(session, dataset_id=1, version=1)
        schema_id, items = version.id, [read_item(one) for one in version.items]
    assert DATASET in client.get_subjects()
    assert client.get_versions(DATASET) == [1]
    newest = client.get_latest_version(DATASET)
    assert (newest.subject, newest.version, newest.schema_id) == (DATASET, 1, schema_id)
    told = client.get_schema(schema_id)
    assert told.schema_type == "JSON"
    assert json.loads(told.schema_str or "") == json_schema(items, ["id"])
    found = client.lookup_schema(DATASET, Schema(told.schema_str, "JSON"))
    assert (found.schema_id, found.version) == (schema_id, 1)


def test_it_is_told_what_is_not_there_and_that_it_may_not_register(client: SchemaRegistryClient) -> None:
    with pytest.raises(SchemaRegistryError) as unknown:
        client.get_latest_version("none/000001")
    assert unknown.value.error_code == 40401
    with pytest.raises(SchemaRegistryError) as refused:
        client.register_schema(DATASET, Schema('{"type": "object"}', "JSON"))
    assert refused.value.error_code == 42205


def test_a_token_that_is_none_is_refused(portal: PortalProcess) -> None:
    with signed_in(portal, "none") as stranger, pytest.raises(SchemaRegistryError) as refused:
        stranger.get_subjects()
    assert refused.value.http_status_code == 401
