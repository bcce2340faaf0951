"""The AsyncAPI document: it is the protocol's, every reference leads somewhere, and examples fit its schemas."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from streamgen import asyncapi
from tests.test_protocol import EXAMPLES

COMMITTED = Path(__file__).parent.parent / asyncapi.DOCUMENT


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return asyncapi.document()


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def test_the_committed_document_is_current() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == asyncapi.text(), "run `python -m streamgen.asyncapi`"


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = set(references(document))
    assert len(found) > 30
    for reference in found:
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            assert step in place, reference
            place = place[step]


def test_every_message_is_in_an_operation(document: dict[str, Any]) -> None:
    (channel,) = document["channels"].values()
    said = {each["$ref"].rsplit("/", 1)[1] for each in references_of(document["operations"])}
    assert said == set(channel["messages"]) == set(document["components"]["messages"])
    assert all(re.fullmatch(r"[a-zA-Z0-9._-]+", name) for name in said), "AsyncAPI allows no other names"


def references_of(operations: dict[str, Any]) -> list[dict[str, str]]:
    return [message for each in operations.values() for message in each["messages"]]


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=lambda value: str(value)[:20])
def test_the_examples_of_the_protocol_fit_its_schemas(document: dict[str, Any], name: str, example: str) -> None:
    place = "urn:streamgen"
    registry: Registry[Any] = Registry().with_resource(place, Resource.opaque(document))
    model = document["components"]["messages"][name]["payload"]["$ref"]
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": f"{place}{model}"}
    Draft202012Validator(schema, registry=registry).validate(json.loads(example))


def test_a_wrong_message_does_not_fit(document: dict[str, Any]) -> None:
    place = "urn:streamgen"
    registry: Registry[Any] = Registry().with_resource(place, Resource.opaque(document))
    schema = {"$ref": f"{place}#/components/schemas/Panic"}
    validator = Draft202012Validator(schema, registry=registry)
    assert validator.is_valid({"type": "panic", "id": "a", "action": "black"})
    assert not validator.is_valid({"type": "panic", "id": "a", "action": "run"})
    assert not validator.is_valid({"type": "panic", "id": "a", "action": "black", "else": 1})
