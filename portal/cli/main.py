"""The `siji` command: one sub-command a noun, each in a file of its own."""

import sys

import typer

from infra.errors import SijiError
from portal.cli import bureaus, calendar, journal, lab, people, quota, records, report, run, sessions, worker
from portal.cli.local import language

app = typer.Typer(
    name="siji",
    help="四级云 Siji:一级建设、四级使用的政务云。One government cloud for four levels of government.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.add_typer(bureaus.app, name="bureaus", help="部门树 · the tree of bureaus")
app.add_typer(calendar.app, name="calendar", help="工作日历 · the work calendar")
app.add_typer(journal.app, name="journal", help="审计日志 · the journal")
app.add_typer(lab.app, name="lab", help="测试用引擎 · private engines for tests and benchmarks")
app.add_typer(people.app, name="people", help="人员 · people")
app.add_typer(quota.app, name="quota", help="配额 · quotas")
app.command(name="sign-in", help="登录门户 · sign in to the portal")(sessions.sign_in)
app.command(name="sign-out", help="退出门户 · sign out")(sessions.sign_out)
app.command(name="whoami", help="我是谁 · who the portal takes you for")(sessions.whoami)
app.command(name="migrate", help="建立或升级数据库 · build or upgrade the records")(records.migrate)
app.command(name="report", help="容量报表 · the capacity report")(report.report)
app.command(name="worker", help="任务进程 · Celery workers")(worker.worker)
app.command(name="run", help="示例城市 · load the sample city and show it")(run.run)


def main() -> None:
    """Run the command; a refusal is one message on standard error and status 1."""
    try:
        app()
    except SijiError as error:
        typer.echo(error.message(language()), err=True)
        sys.exit(1)
