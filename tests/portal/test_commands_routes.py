"""Every route that changes something has a command that calls it, or a reason why it has none."""

import json
from pathlib import Path

import pytest

from approval.queries import get_case
from infra.database import reading
from infra.installation import Installation
from portal.cli import remote
from portal.cli.main import ROOMS, load
from portal.route_table import list_routes
from provisioning.queries import get_request
from tests.portal.calls import cloud, exchange, hall, identity
from tests.portal.commands import HANGS_AFTER_S, Listening, Named, Siji
from tests.portal.conftest import open_sample, portal_over

PREPARED = (cloud, exchange, hall, identity)
STALE = "--revision 99"
"""Whoever asks so changes nothing: the route is called, and refuses."""

WITHOUT_A_COMMAND = {
    "POST /api/v1/calendar/import": "whoever imports a year has the machine's console: siji calendar import",
    "POST /api/v1/registry/subjects/{subject:path}": "for clients of schema registries, which post a look-up",
    "POST /api/v1/registry/subjects/{subject:path}/versions": "refuses them all",
    "POST /api/v1/subscriptions/{number}/acknowledgement": "siji pull --acknowledge, once there is any",
    "POST /api/v1/tree/import": "whoever imports the tree has the machine's console: siji bureaus import",
}
COMMANDS = {
    "POST /api/v1/session": ("", "sign-in minzheng --password wrong"),
    "DELETE /api/v1/session": ("renshe", "sign-out"),
    "PUT /api/v1/me/password": ("", "password kaifa --old {password} --new short"),
    "POST /api/v1/bureaus/{code}/renaming": ("shenhe", f"bureaus rename 1306-mzj 新名 {STALE}"),
    "POST /api/v1/bureaus/{code}/recoding": ("shenhe", f"bureaus recode 1306-mzj 1306-mz {STALE}"),
    "POST /api/v1/bureaus/{code}/move": ("shenhe", f"bureaus move 1306-mzj 1306 {STALE}"),
    "POST /api/v1/bureaus/{code}/merger": ("shenhe", f"bureaus merge 1306-mzj 1306-rsj {STALE}"),
    "POST /api/v1/bureaus/{code}/abolition": ("shenhe", f"bureaus abolish 1306-mzj {STALE}"),
    "POST /api/v1/bureaus/{code}/systems": (
        "minzheng",
        "systems register called --bureau 1306-mzj --name 走查 --mlps-grade 2 --zone extranet",
    ),
    "PATCH /api/v1/systems/{code}": ("minzheng", f"systems edit {{api_system}} --name 新名 {STALE}"),
    "POST /api/v1/systems/{code}/transfer": (
        "minzheng",
        f"systems transfer {{api_system}} 1306-mzj {STALE}",
    ),
    "POST /api/v1/systems/{code}/retirement": ("minzheng", f"systems retire {{api_system}} {STALE}"),
    "POST /api/v1/systems/{code}/tokens": (
        "minzheng",
        "tokens issue {api_system} --label 走查 --scope datasets:pull --expires-on {api_expires_on}",
    ),
    "POST /api/v1/tokens/{number}/rotation": (
        "minzheng",
        "tokens rotate {api_token} --expires-on {api_expires_on} --overlap-days 1",
    ),
    "POST /api/v1/tokens/{number}/revocation": ("anquan", "tokens revoke {api_token}"),
    "POST /api/v1/people": ("xitong", "accounts add called 新人 --bureau 1306-rsj"),
    "POST /api/v1/people/{login}/password-reset": ("xitong", "accounts reset-password api-stays"),
    "POST /api/v1/people/{login}/departure": ("xitong", "accounts depart api-goes"),
    "POST /api/v1/people/{login}/roles": ("anquan", "roles give api-stays developer 1306-rsj"),
    "DELETE /api/v1/people/{login}/roles/{role_id}": ("anquan", "roles end api-stays {api_role}"),
    "PUT /api/v1/bureaus/{code}/grants/{region}": ("shenhe", f"grants set 1306-mzj baoding {STALE}"),
    "PUT /api/v1/bureaus/{code}/grants/{region}/mode": (
        "shenhe",
        f"grants mode 1306-mzj baoding shared {STALE}",
    ),
    "PUT /api/v1/bureaus/{code}/grants/{region}/freeze": (
        "shenhe",
        f"grants freeze 1306-mzj baoding --reason 核查 {STALE}",
    ),
    "DELETE /api/v1/bureaus/{code}/grants/{region}/freeze": (
        "shenhe",
        f"grants unfreeze 1306-mzj baoding {STALE}",
    ),
    "PUT /api/v1/regions/{region}": ("shenhe", "regions open baoding"),
    "PUT /api/v1/regions/{region}/reserve": ("shenhe", "regions reserve baoding --no-largest-host"),
    "POST /api/v1/regions/{region}/refresh": ("shenhe", "regions refresh baoding"),
    "POST /api/v1/findings/{finding_id}/acknowledge": (
        "shenhe",
        "findings acknowledge {finding_id} --reason 维护",
    ),
    "POST /api/v1/maintenances": (
        "shenhe",
        "maintenances plan called --region baoding --reason 维护"
        " --from 2030-03-02T22:00 --until 2030-03-03T02:00",
    ),
    "POST /api/v1/maintenances/{maintenance_id}/agree": (
        "minzheng",
        "maintenances agree {maintenance_id} --bureau 1306-mzj",
    ),
    "POST /api/v1/maintenances/{maintenance_id}/object": (
        "minzheng",
        "maintenances object {maintenance_id} --bureau 1306-mzj --reason 申报期",
    ),
    "POST /api/v1/maintenances/{maintenance_id}/overrule": (
        "shenhe",
        "maintenances overrule {maintenance_id} --reason 故障",
    ),
    "POST /api/v1/maintenances/{maintenance_id}/end": ("shenhe", "maintenances end {maintenance_id}"),
    "POST /api/v1/audits": ("shenhe", "findings audit"),
    "POST /api/v1/requests": (
        "minzheng",
        "requests new --system 1306-mzj-s1 --region baoding --flavor {flavor} --image x --purpose 走查",
    ),
    "PATCH /api/v1/requests/{request_id}": ("minzheng", f"requests edit {{draft_id}} --purpose 改 {STALE}"),
    "POST /api/v1/requests/{request_id}/submit": ("minzheng", "requests submit {draft_id}"),
    "POST /api/v1/requests/{request_id}/decide": ("shenhe", f"cases decide {{request_case}} approve {STALE}"),
    "POST /api/v1/requests/{request_id}/withdraw": ("minzheng", "requests withdraw {draft_id}"),
    "POST /api/v1/requests/{request_id}/confirm": ("minzheng", "requests confirm {request_id}"),
    "POST /api/v1/cases/{number}/acceptance": ("shenhe", f"cases accept {{hall_case}} {STALE}"),
    "POST /api/v1/cases/{number}/supplement": ("shenhe", f"cases supplement {{hall_case}} 材料 {STALE}"),
    "POST /api/v1/cases/{number}/supplement/answer": ("minzheng", f"cases answer {{hall_case}} {STALE}"),
    "POST /api/v1/cases/{number}/suspensions": (
        "shenhe",
        "cases suspend {hall_case} hearing --first-on {hall_today} --reason 听证",
    ),
    "POST /api/v1/cases/{number}/resumption": ("shenhe", "cases resume {hall_case} hearing"),
    "POST /api/v1/notices/{number}/reading": ("shenhe", "notices read {hall_notice}"),
    "POST /api/v1/servers/{server_id}/stop": ("minzheng", "servers stop {server_id}"),
    "POST /api/v1/servers/{server_id}/start": ("minzheng", "servers start {server_id}"),
    "POST /api/v1/servers/{server_id}/reboot": ("minzheng", "servers reboot {server_id} --hard"),
    "POST /api/v1/servers/{server_id}/console": ("minzheng", "servers console {server_id}"),
    "POST /api/v1/servers/{server_id}/retry": ("minzheng", "servers retry {server_id}"),
    "POST /api/v1/servers/{server_id}/give-up": ("minzheng", "servers give-up {server_id}"),
    "POST /api/v1/servers/{server_id}/reclaim": ("shenhe", "servers reclaim {server_id} --reason 闲置"),
    "POST /api/v1/datasets": ("shuju", "datasets new --file {entry}"),
    "PATCH /api/v1/datasets/{code:path}": ("shuju", f"datasets edit {{dataset}} --summary 改 {STALE}"),
    "POST /api/v1/datasets/{code:path}/versions": (
        "shuju",
        f"datasets new-version {{dataset}} --file {{version}} {STALE}",
    ),
    "POST /api/v1/datasets/{code:path}/versions/withdrawal": (
        "shuju",
        f"datasets withdraw-version {{dataset}} {STALE}",
    ),
    "POST /api/v1/datasets/{code:path}/batches": (
        "shuju",
        "publish {dataset} {batch} --system 1306-zhb-s2",
    ),
    "POST /api/v1/batches/{receipt_id}/quarantine/corrections": (
        "shuju",
        "quarantine correct {exchange_receipt} {corrections} --force 核实",
    ),
    "POST /api/v1/batches/{receipt_id}/quarantine/discarding": (
        "shuju",
        "quarantine discard {exchange_receipt} 2 --reason 测试数据",
    ),
    "POST /api/v1/subscriptions": (
        "minzheng",
        "subscriptions new --dataset {dataset} --system 1306-mzj-s1 --item id --purpose 核验"
        " --until-on {exchange_until}",
    ),
    "PATCH /api/v1/subscriptions/{number}": (
        "minzheng",
        f"subscriptions edit {{exchange_subscription}} --purpose 改 {STALE}",
    ),
    "POST /api/v1/subscriptions/{number}/rewind": (
        "kaifa",
        "subscriptions rewind {exchange_subscription} --to 2026-03-02T09:00+08:00",
    ),
    "PUT /api/v1/subscriptions/{number}/topic": ("minzheng", "topics open {exchange_subscription}"),
    "POST /api/v1/subscriptions/{number}/topic/credential": (
        "minzheng",
        "topics credential {exchange_subscription}",
    ),
    "DELETE /api/v1/subscriptions/{number}/topic": ("minzheng", "topics end {exchange_subscription}"),
    "POST /api/v1/subscriptions/{number}/withdrawal": (
        "minzheng",
        "subscriptions withdraw {exchange_subscription}",
    ),
    "POST /api/v1/subscriptions/{number}/decision": (
        "shuju",
        f"subscriptions decide {{exchange_subscription}} approve {STALE}",
    ),
    "POST /api/v1/subscriptions/{number}/pause": (
        "shuju",
        f"subscriptions pause {{exchange_subscription}} {STALE}",
    ),
    "POST /api/v1/subscriptions/{number}/resumption": (
        "shuju",
        f"subscriptions resume {{exchange_subscription}} {STALE}",
    ),
    "POST /api/v1/subscriptions/{number}/release": (
        "shuju",
        f"subscriptions release {{exchange_subscription}} --item id {STALE}",
    ),
    "PUT /api/v1/subscriptions/{number}/webhook": (
        "minzheng",
        "webhooks set {exchange_subscription} https://a.example/in",
    ),
    "DELETE /api/v1/subscriptions/{number}/webhook": ("minzheng", "webhooks remove {exchange_subscription}"),
    "POST /api/v1/subscriptions/{number}/webhook/secret": (
        "minzheng",
        "webhooks rotate {exchange_subscription}",
    ),
    "POST /api/v1/subscriptions/{number}/webhook/redrive": (
        "minzheng",
        "webhooks redrive {exchange_subscription}",
    ),
    "POST /api/v1/subscriptions/{number}/webhook/skip": (
        "minzheng",
        "webhooks skip {exchange_subscription} --reason 补录",
    ),
    "POST /api/v1/datasets/{code:path}/recalls": (
        "shuju",
        'recalls new walked/000001 --key \'{{"id": "1"}}\' --reason 误发 --system 1306-zhb-s2',
    ),
    "POST /api/v1/subscriptions/{number}/recalls/{recall_id}": (
        "minzheng",
        "recalls answer {exchange_subscription} {exchange_recall} deleted",
    ),
    "POST /api/v1/subscriptions/{number}/prolongation": (
        "shuju",
        f"subscriptions prolong {{exchange_subscription}} --until-on 2039-01-01 {STALE}",
    ),
    "POST /api/v1/subscriptions/{number}/narrowing": (
        "shuju",
        f"subscriptions narrow {{exchange_subscription}} --filter 'id starts_with 1306' {STALE}",
    ),
    "POST /api/v1/subscriptions/{number}/revocation": (
        "shuju",
        f"subscriptions revoke {{exchange_subscription}} {STALE}",
    ),
}


@pytest.fixture(scope="module")
def city(prepared: tuple[Path, Named]) -> Installation:
    """A city that all calls here share: most of them change nothing."""
    return open_sample(prepared[0])


@pytest.fixture(scope="module")
def named(city: Installation, prepared: tuple[Path, Named], sample_sqlite: tuple[str, str]) -> Named:
    """The walk's names, a case, a password, and files to send."""
    found = prepared[1] | {"dataset": exchange.CODE, "password": sample_sqlite[1]}
    with reading(city.engine) as session:
        case_id = get_request(session, found["request_id"]).case_id
        assert case_id is not None
        found["request_case"] = get_case(session, case_id).number
    for name, content in {
        "entry": exchange.ENTRY,
        "version": {"items": [exchange.ITEM]},
        "batch": [{"value": {"id": "1"}}],
        "corrections": [{"place": 9, "value": {"id": "2"}}],
    }.items():
        file = city.settings.data_dir / f"{name}.json"
        file.write_text(json.dumps(content))
        found[name] = file
    return found


@pytest.mark.parametrize("route", COMMANDS)
def test_the_command_calls_its_route(
    route: str,
    city: Installation,
    named: Named,
    sample_sqlite: tuple[str, str],
    listening: tuple[Listening, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote, "WAIT_S", HANGS_AFTER_S)
    served, url = listening
    served.portal = portal_over(city)
    served.called.clear()
    login, line = COMMANDS[route]
    result = Siji(url, city.settings.data_dir, sample_sqlite[1])(line.format_map(named), by=login)
    assert route in served.called, result.output
    assert result.exit_code in (0, 1), result.output


def test_every_route_that_changes_something_has_a_command_or_a_reason() -> None:
    changing = {
        f"{route.method} {route.path}" for route in list_routes() if route.is_api and route.method != "GET"
    }
    assert changing == COMMANDS.keys() | WITHOUT_A_COMMAND.keys()


@pytest.mark.parametrize("name", [name for subs in ROOMS.values() for name in subs])
def test_every_command_speaks_chinese_first_and_english_second(name: str) -> None:
    command = load(name)
    lines = [command.help, *(sub.help for sub in getattr(command, "commands", {}).values())]
    for line in lines:
        chinese, _, english = (line or "").partition("·")
        assert not chinese.isascii(), line
        assert english.strip(), line
