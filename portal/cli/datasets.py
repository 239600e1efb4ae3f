"""`siji datasets`: the catalogue of shared data; search, read, catalogue, edit, new versions of items."""

from typing import Annotated, Any, Literal

import typer

from exchange.compatibility import Level
from exchange.wording import LEVELS, SENSITIVITIES, SHARE_TYPES, TYPES, UPDATE_MODES, mask_words
from portal.cli.options import AsJson, Document, MaybeDocument, Revision, read_document, told
from portal.cli.remote import at, open_portal
from portal.cli.tables import Column, Part, show_list, show_one

app = typer.Typer(no_args_is_help=True)

Code = Annotated[str, typer.Argument(help="数据集代码 · the dataset's code")]
ShareType = Annotated[
    Literal["unconditional", "conditional", "none"] | None, typer.Option(help="共享类型 · share type")
]

COLUMNS = (
    Column("code", "代码", "code"),
    Column("name", "名称", "name"),
    Column("provider", "提供部门代码", "provider"),
    Column("provider_name", "提供部门", "provider's name"),
    Column("share_type", "共享类型", "share type", SHARE_TYPES),
    Column("update_mode", "更新方式", "update mode", UPDATE_MODES),
    Column("update_cycle", "更新周期", "update cycle"),
    Column("version", "版本", "version"),
)
FACTS = (
    *COLUMNS,
    Column("classification", "分类", "classification"),
    Column("summary", "摘要", "summary"),
    Column("share_condition", "共享条件", "condition of sharing"),
    Column("legal_basis", "依据", "legal basis"),
    Column("is_open", "向社会开放", "open to the public"),
    Column("data_format", "数据格式", "data format"),
    Column("published_on", "发布日期", "published"),
    Column("related_code", "关联代码", "related code"),
    Column("key_items", "主键信息项", "key items"),
    Column("partitions", "分区", "partitions"),
    Column("compatibility", "兼容性级别", "compatibility", LEVELS),
    Column("created_at", "编目时间", "catalogued"),
    Column("revision", "修订", "revision"),
)
ITEM_COLUMNS = (
    Column("name", "信息项", "item"),
    Column("label", "中文名", "label"),
    Column("type", "类型", "type", TYPES),
    Column("length", "长度", "length"),
    Column("sensitivity", "敏感级别", "sensitivity", SENSITIVITIES),
    Column("required", "必填", "required"),
    Column("is_key", "主键", "key"),
    Column("mask", "脱敏", "mask", told=mask_words),
)
ITEMS = Part("items", "信息项", "Items", ITEM_COLUMNS)
VERSIONS = (
    Column("version", "版本", "version"),
    Column("id", "模式编号", "schema id"),
    Column("created_at", "时间", "made"),
    Column("from_on", "生效日期", "holds from"),
    *ITEM_COLUMNS,
)


@app.command("list")
def list_(
    search: Annotated[
        str, typer.Option(help="代码、名称、提供部门包含 · part of code, name or provider")
    ] = "",
    provider: Annotated[str | None, typer.Option(help="提供部门代码 · code of the provider")] = None,
    share_type: ShareType = None,
    as_json: AsJson = False,
) -> None:
    """检索目录 · Search the city's catalogue."""
    found = open_portal().list("/datasets", search=search, provider=provider, share_type=share_type)
    show_list(found, COLUMNS, as_json=as_json)


@app.command()
def show(code: Code, as_json: AsJson = False) -> None:
    """显示数据集 · Show a dataset with its items, masks, condition and legal basis."""
    _show(open_portal().get(at("datasets", code)), as_json)


@app.command()
def versions(code: Code, as_json: AsJson = False) -> None:
    """历次版本 · Every version of a dataset's items, the oldest first; a line an item."""
    found = open_portal().get(at("datasets", code, "versions"))
    flat = ({**item, **version} for version in found for item in version["items"])
    show_list(found if as_json else flat, VERSIONS, as_json=as_json)


@app.command()
def new(file: Document, as_json: AsJson = False) -> None:
    """编目 · Catalogue a dataset, as the file says it and the API takes it."""
    _show(open_portal().send("POST", "/datasets", read_document(file)), as_json)


@app.command()
def edit(
    code: Code,
    name: Annotated[str | None, typer.Option(help="名称 · name")] = None,
    share_type: ShareType = None,
    share_condition: Annotated[str | None, typer.Option(help="共享条件 · condition of sharing")] = None,
    legal_basis: Annotated[str | None, typer.Option(help="依据 · legal basis")] = None,
    summary: Annotated[str | None, typer.Option(help="摘要 · summary")] = None,
    update_cycle: Annotated[str | None, typer.Option(help="更新周期 · update cycle")] = None,
    compatibility: Annotated[
        Level | None, typer.Option(help="新版信息项的兼容性级别 · level of compatibility")
    ] = None,
    file: MaybeDocument = None,
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """修改目录 · Change descriptive fields, by options or a file; what is left out stays."""
    body = read_document(file) | told(
        name=name,
        share_type=share_type,
        share_condition=share_condition,
        legal_basis=legal_basis,
        summary=summary,
        update_cycle=update_cycle,
        compatibility=compatibility,
    )
    here = at("datasets", code)
    _show(open_portal().revise("PATCH", here, body, seen=here, revision=revision), as_json)


@app.command("new-version")
def new_version(
    code: Code,
    file: Document,
    from_on: Annotated[
        str | None, typer.Option("--from", help="预告的生效日期，如 2030-03-02 · the day from which it holds")
    ] = None,
    force: Annotated[
        str | None, typer.Option(help="不兼容仍立即生效的理由 · why a break is not announced first")
    ] = None,
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """新版本 · Give a dataset new items, all of them: {"items": […]}. Breaks and whom they hit are named."""
    here = at("datasets", code)
    body = read_document(file) | told(from_on=from_on, force=force)
    _show(open_portal().revise("POST", f"{here}/versions", body, seen=here, revision=revision), as_json)


@app.command("withdraw-version")
def withdraw_version(code: Code, revision: Revision = None, as_json: AsJson = False) -> None:
    """撤回预告 · Take back the version that was announced and does not hold yet."""
    here = at("datasets", code)
    done = open_portal().revise("POST", f"{here}/versions/withdrawal", {}, seen=here, revision=revision)
    _show(done, as_json)


def _show(found: dict[str, Any], as_json: bool) -> None:
    show_one(found, FACTS, ITEMS, as_json=as_json)
