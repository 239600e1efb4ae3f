"""Amounts and limits as the API speaks of them: an object of dimensions, null for unlimited."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from portal.numbers import LARGEST_AMOUNT
from provisioning.quota import DIMENSIONS, Limits, Resources


def _known(given: dict[str, int | None]) -> dict[str, int | None]:
    known = [one.key for one in DIMENSIONS]
    if unknown := sorted(given.keys() - set(known)):
        told = {"unknown": ", ".join(unknown), "known": ", ".join(known)}
        raise PydanticCustomError("no_dimension", "no such dimension: {unknown}; use {known}", told)
    return given


def _schema(*, all_of_them: bool) -> dict[str, Any]:
    whole = {"type": "integer", "minimum": 0, "maximum": LARGEST_AMOUNT}
    properties = {
        one.key: {"anyOf": [whole, {"type": "null"}], "description": f"{one.zh} {one.en} {one.unit}".strip()}
        for one in DIMENSIONS
    }
    example = {
        "servers": 10,
        "vcpus": 40,
        "ram_mib": 163840,
        "root_gib": 400,
        "volume_gib": 2000,
        "volumes": 10,
    }
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "required": list(properties) if all_of_them else [],
        "examples": [{one.key: example.get(one.key, 0) for one in DIMENSIONS} if all_of_them else example],
    }


LimitsIn = Annotated[
    dict[str, Annotated[int, Field(ge=0, le=LARGEST_AMOUNT, strict=True)] | None],
    AfterValidator(_known),
    WithJsonSchema(_schema(all_of_them=False)),
]
"""Dimensions that are left out are 0."""

LimitsOut = Annotated[dict[str, int | None], WithJsonSchema(_schema(all_of_them=True))]


def limits_out(limits: Limits | Resources) -> dict[str, int | None]:
    """Every dimension, zeros too."""
    return {one.key: limits[one.key] for one in DIMENSIONS}
