"""The catalogue's schemas under the read paths of Confluent's Schema Registry, for its clients.

A dataset's code is the subject, a version of its items the version, and the id of that version the schema's:
the one that stands beside every record. Answers and refusals have the registry's shape, not ours. Nothing is
registered here: versions are made in the catalogue.
"""

import json
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from exchange.models import Dataset, DatasetVersion
from exchange.queries import find_dataset, get_dataset
from exchange.schema import json_schema, read_item
from exchange.version_queries import list_codes, list_versions
from identity.roles import Permission as P
from infra.errors import Kind, SijiError
from portal.access import Reading
from portal.api.shapes import PREFIX, REFUSALS, Out
from portal.errors import STATUS
from portal.language import language_of
from portal.needs import Asker, needs
from portal.numbers import Place, RowId

KIND = "JSON"
LATEST = ("latest", "-1")
MOST_SUBJECTS = 1_000_000
MOST_CHARACTERS = 1_000_000


class NoSubject(SijiError):
    """No dataset has that code."""

    kind = Kind.not_found
    code = "40401"
    zh = "没有主题“{subject}”：主题即数据集代码"
    en = "Subject “{subject}” not found: a subject is a dataset's code"


class NoVersion(SijiError):
    """The dataset has no such version, or it does not hold yet."""

    kind = Kind.not_found
    code = "40402"
    zh = "主题“{subject}”没有第 {version} 版"
    en = "Version {version} of subject “{subject}” not found"


class NoSchema(SijiError):
    """No version has that id, or none of the dataset is that schema."""

    kind = Kind.not_found
    code = "40403"
    zh = "未找到模式 {schema}"
    en = "Schema {schema} not found"


class ReadOnly(SijiError):
    """Somebody registers a schema."""

    code = "42205"
    zh = "主题“{subject}”只读：新版本请在资源目录中提交"
    en = "Subject “{subject}” is read-only: give new versions in the catalogue"


class RegistryRoute(APIRoute):
    """Answers refusals as the registry does: an error code of five digits and a message."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with its refusals told in that shape."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except SijiError as error:
                status = int(STATUS[error.kind])
                code = int(error.code) if error.code.isdigit() else status
                return _refusal(status, code, error.message(language_of(request)))
            except RequestValidationError as error:
                return _refusal(422, 422, "; ".join(one["msg"] for one in error.errors()))

        return answer


class RegistryAnswer(JSONResponse):
    """JSON under the registry's own type."""

    media_type = "application/vnd.schemaregistry.v1+json"


class RefusalOut(Out):
    """Why something was not answered."""

    error_code: int = Field(examples=[40401])
    message: str


UNREADABLE: dict[str, Any] = {
    "model": RefusalOut,
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
"""An address that holds a NUL is refused before anybody knows whose it is: in our shape."""

router = APIRouter(
    prefix=f"{PREFIX}/registry",
    tags=["registry"],
    route_class=RegistryRoute,
    default_response_class=RegistryAnswer,
    responses={status: UNREADABLE if status == 422 else {"model": RefusalOut} for status in REFUSALS},
)
Reader = Annotated[Asker, needs(P.catalogue_see)]
Subject = Annotated[str, Field(examples=["307003003/000001"])]
Number = Annotated[int, Field(examples=[1])]
Wanted = Annotated[str, Path(pattern="^([1-9][0-9]{0,8}|latest|-1)$", examples=["latest"])]


class SchemaOut(Out):
    """A schema, as JSON in a text."""

    schemaType: str = Field(default=KIND, examples=[KIND])
    schema_: str = Field(alias="schema", examples=['{"type":"object"}'])


class SchemaIn(BaseModel):
    """What a client looks up; whatever else it sends is for kinds of schemas that are not here."""

    schema_: str = Field(alias="schema", max_length=MOST_CHARACTERS, examples=['{"type":"object"}'])


class LevelOut(Out):
    """A level of compatibility, in the registry's words."""

    compatibilityLevel: str = Field(examples=["BACKWARD"])


class ModeOut(Out):
    """Whether schemas may be registered."""

    mode: str = Field(examples=["READONLY"])


class SubjectVersion(Out):
    """One version of a subject."""

    subject: str = Field(examples=["307003003/000001"])
    version: int = Field(examples=[1])


class RegisteredOut(SchemaOut, SubjectVersion):
    """A version of a subject with its schema."""

    id: int = Field(examples=[1])


@router.get("/schemas/types")
def types(asker: Reader) -> list[Annotated[str, Field(examples=[KIND])]]:
    """Every kind of schema that is here: JSON Schema, draft 2020-12."""
    return [KIND]


@router.get("/schemas/ids/{schema_id}")
def schema(asker: Reader, session: Reading, schema_id: RowId) -> SchemaOut:
    """The schema of that id."""
    return SchemaOut(schema=_text(*_of_id(session, schema_id)))


@router.get("/schemas/ids/{schema_id}/versions")
def uses(asker: Reader, session: Reading, schema_id: RowId) -> list[SubjectVersion]:
    """Where the schema of that id is used: in one version of one subject."""
    version, dataset = _of_id(session, schema_id)
    return [SubjectVersion(subject=dataset.code, version=version.version)]


@router.get("/subjects")
def subjects(
    asker: Reader,
    session: Reading,
    subject_prefix: Annotated[str, Query(alias="subjectPrefix", max_length=64)] = "",
    offset: Place = 0,
    limit: Annotated[int, Query(ge=-1, le=MOST_SUBJECTS)] = -1,
) -> list[Subject]:
    """The codes of the catalogue, in order; all of them with a limit of -1 or none."""
    return list_codes(session, prefix=subject_prefix, offset=offset, limit=limit if limit >= 0 else None)


@router.get("/subjects/{subject:path}/versions")
def versions(asker: Reader, session: Reading, subject: str) -> list[Number]:
    """The versions that hold or held."""
    return [one.version for one in _versions(session, _dataset(session, subject))]


@router.post("/subjects/{subject:path}/versions")
def register(asker: Reader, subject: str) -> RegisteredOut:
    """Refused: new versions are given in the catalogue, where subscribers are told of them."""
    raise ReadOnly(subject=subject)


@router.get("/subjects/{subject:path}/versions/{version}")
def registered(asker: Reader, session: Reading, subject: str, version: Wanted) -> RegisteredOut:
    """One version of a subject; `latest` is the one that holds."""
    dataset = _dataset(session, subject)
    number = dataset.version if version in LATEST else int(version)
    for one in _versions(session, dataset):
        if one.version == number:
            return _registered(one, dataset)
    raise NoVersion(subject=subject, version=version)


@router.post("/subjects/{subject:path}")
def look_up(asker: Reader, session: Reading, subject: str, body: SchemaIn) -> RegisteredOut:
    """The newest version of the subject that has just that schema."""
    dataset = _dataset(session, subject)
    try:
        wanted = json.loads(body.schema_)
    except (ValueError, RecursionError):
        wanted = None
    for one in reversed(_versions(session, dataset)):
        if json.loads(_text(one, dataset)) == wanted:
            return _registered(one, dataset)
    raise NoSchema(schema=subject)


@router.get("/config")
def config(asker: Reader) -> LevelOut:
    """The level of compatibility of a dataset that says nothing else."""
    return LevelOut(compatibilityLevel="BACKWARD")


@router.get("/config/{subject:path}")
def config_of(asker: Reader, session: Reading, subject: str) -> LevelOut:
    """The level of compatibility of a subject."""
    return LevelOut(compatibilityLevel=_dataset(session, subject).compatibility.upper())


@router.get("/mode")
def mode(asker: Reader) -> ModeOut:
    """Nothing is registered here."""
    return ModeOut(mode="READONLY")


def _of_id(session: Session, schema_id: int) -> tuple[DatasetVersion, Dataset]:
    found = session.get(DatasetVersion, schema_id)
    dataset = get_dataset(session, dataset_id=found.dataset_id) if found else None
    if found is None or dataset is None or found.version > dataset.version:
        raise NoSchema(schema=schema_id)
    return found, dataset


def _dataset(session: Session, subject: str) -> Dataset:
    found = find_dataset(session, code=subject)
    if found is None:
        raise NoSubject(subject=subject)
    return found


def _versions(session: Session, dataset: Dataset) -> list[DatasetVersion]:
    found = list_versions(session, dataset_id=dataset.id)
    return [one for one in found if one.version <= dataset.version]


def _registered(version: DatasetVersion, dataset: Dataset) -> RegisteredOut:
    return RegisteredOut(
        subject=dataset.code, version=version.version, id=version.id, schema=_text(version, dataset)
    )


def _text(version: DatasetVersion, dataset: Dataset) -> str:
    items = [read_item(document) for document in version.items]
    return json.dumps(json_schema(items, dataset.key_items), ensure_ascii=False, separators=(",", ":"))


def _refusal(status: int, code: int, message: str) -> JSONResponse:
    return RegistryAnswer({"error_code": code, "message": message}, status)
