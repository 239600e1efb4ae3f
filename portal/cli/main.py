"""The `siji` command: its sub-commands, each in a file of its own that is imported when it is called."""

import importlib
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from infra.errors import SijiError
from portal.cli.speech import language, say
from portal.cli.usage import in_chinese

Sub = dict[str, tuple[str, str]]
"""By name: the module below portal.cli (`module:function` for a command of its own), and one line of help."""

ROOMS: dict[str, Sub] = {
    "登录 · signing in": {
        "sign-in": ("sessions:sign_in", "登录门户 · sign in to the portal"),
        "sign-out": ("sessions:sign_out", "退出门户 · sign out"),
        "password": ("sessions:password", "更改密码 · choose a new password"),
        "whoami": ("sessions:whoami", "我是谁 · who the portal takes you for"),
    },
    "审批 · approval": {
        "requests": ("requests", "资源申请 · requests for resources"),
        "cases": ("cases", "办件 · cases"),
        "inbox": ("inbox:inbox", "待办 · what waits for your decision"),
        "notices": ("notices", "通知 · notices"),
        "items": ("items", "事项 · the items of the hall"),
        "alarms": ("items:alarms", "日历缺失预警 · limits without a date"),
    },
    "政务云 · cloud": {
        "grants": ("grants", "配额下达 · quotas granted to bureaus"),
        "servers": ("servers", "云服务器 · servers"),
        "regions": ("regions", "区域 · regions, and what they offer and hold"),
        "maintenances": ("maintenances", "主机维护 · hosts taken out of service"),
        "findings": ("findings", "云上核对结果 · what audits of the clouds found"),
    },
    "数据共享 · shared data": {
        "datasets": ("datasets", "信息资源目录 · the catalogue of datasets"),
        "publish": ("publish:publish", "发布一批数据 · publish a batch of records"),
        "watch": ("watch:watch", "发布出现在文件夹中的文件 · publish the files that come into a folder"),
        "receipts": ("receipts", "发布回执 · receipts of what was published"),
        "quarantine": ("quarantine", "问题数据 · records that were not taken"),
        "subscriptions": ("subscriptions", "共享申请 · subscriptions"),
        "webhooks": ("webhooks", "数据推送 · webhooks of subscriptions"),
        "topics": ("topics", "专用主题 · subscriptions' own topics on Kafka"),
        "recalls": ("recalls", "撤回 · records taken back"),
        "pull": ("pull:pull", "拉取数据 · pull records"),
        "export": ("export:export", "导出文件 · export a file of records"),
    },
    "机构与账号 · bureaus and accounts": {
        "bureaus": ("bureaus", "部门树 · the tree of bureaus"),
        "systems": ("systems", "信息系统 · information systems"),
        "tokens": ("tokens", "系统令牌 · tokens of systems"),
        "accounts": ("accounts", "账号（经门户）· accounts, through the portal"),
        "roles": ("roles", "角色 · roles of people"),
    },
    "本机 · this machine": {
        "run": ("run:run", "示例城市 · load the sample city and show it"),
        "migrate": ("records:migrate", "建立或升级数据库 · build or upgrade the records"),
        "serve": ("serve:serve", "启动门户 · serve the portal"),
        "exporter": ("exporter:exporter", "监控指标 · metrics for Prometheus"),
        "worker": ("worker:worker", "任务进程 · Celery workers"),
        "people": ("people", "账号（本机）· accounts, from this console"),
        "calendar": ("calendar", "工作日历 · the work calendar"),
        "journal": ("journal", "审计日志 · the journal"),
        "quota": ("quota", "配额核对 · quotas recounted"),
        "cloud": ("cloud", "云平台与台账：核对、接管 · the clouds: audit, adopt"),
        "exchange": (
            "exchange",
            "数据交换：对账、核对授权 · the exchange: reconcile its ledger, rights",
        ),
        "messages": ("messages", "消息日志：核对、存证 · the message log: verify, prove"),
        "report": ("report:report", "容量报表 · the capacity report"),
        "lab": ("lab", "测试用引擎 · private engines for tests and benchmarks"),
    },
}


SAID = {"aborted": {"zh": "已中止", "en": "Aborted"}}


class OnDemand(TyperGroup):
    """Imports a sub-command when it is called: help and completion need one line of each."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        for room, subs in ROOMS.items():
            for name, (_, line) in subs.items():
                self.add_command(TyperCommand(name, help=line, rich_help_panel=room))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The sub-command that `args` begin with, imported."""
        name, known, rest = super().resolve_command(ctx, args)
        return name, None if name is None or known is None else load(name), rest

    def invoke(self, ctx: Any) -> Any:
        """Run it; a refusal is one message on standard error and status 1, in the person's language."""
        try:
            return super().invoke(ctx)
        except typer.TyperException as error:
            told = in_chinese(error.format_message()) if language() == "zh" else None
            if told is not None:
                typer.echo(told, err=True)
            raise
        except typer.Abort as abort:
            say(SAID["aborted"], err=True)
            raise typer.Exit(1) from abort
        except typer.Exit:
            raise
        except Exception as error:
            refusal = error if isinstance(error, SijiError) else _outside(error)
            if refusal is None:
                raise
            typer.echo(refusal.message(language()), err=True)
            raise typer.Exit(1) from error


app = typer.Typer(
    name="siji",
    cls=OnDemand,
    help="四级云 Siji：一级建设、四级使用的政务云。One government cloud for four levels of government.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)


@app.callback()
def _siji() -> None:
    """Nothing happens before a sub-command."""


def load(name: str) -> Any:
    """The sub-command of that name, a key of ROOMS' rooms."""
    place, line = next(subs[name] for subs in ROOMS.values() if name in subs)
    module, _, function = place.partition(":")
    found = getattr(importlib.import_module(f"portal.cli.{module}"), function or "app")
    if function:
        alone = typer.Typer()
        alone.command(name, help=line)(found)
        return get_group(alone).commands[name]
    group = get_group(found)
    group.name, group.help = name, line
    return group


def _outside(error: Exception) -> SijiError | None:
    """What is told of an error that is not the product's own; looked up when there is one."""
    refusal: SijiError | None = importlib.import_module("portal.cli.faults").refusal_of(error)
    return refusal


def main() -> None:
    """Run the command."""
    app()
