"""The tree, systems, accounts and roles by commands, and what they say to who may not."""

from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from identity.models import Person, SignInSession
from infra.clock import city_date
from infra.database import reading
from infra.installation import Installation
from portal.cli.remote import at
from tests.portal.commands import Siji


def test_a_unit_is_renamed_and_its_history_shows_both_names(siji: Siji) -> None:
    assert "1306-mzj\t市民政局\t市\n" in siji.did("bureaus list --parent 1306 --name 民政", by="minzheng")
    renamed = siji.did("bureaus rename 1306-mzj 市民政和社会工作局", by="shenhe")
    assert "名称\t市民政和社会工作局\n" in renamed
    history = siji.did("bureaus history 1306-mzj", by="minzheng").splitlines()
    assert [line.split("\t")[1] for line in history[1:]] == ["市民政局", "市民政和社会工作局"]
    assert siji.json("bureaus show 1306-mzj", by="minzheng")["revision"] == 2
    assert siji.refused("bureaus rename 1306-mzj 市民政局", by="minzheng")
    assert len(siji.json("bureaus tree --top 1306-mzj", by="minzheng")) == 1


def test_a_file_with_one_fault_is_refused_with_it_once(
    siji: Siji, installation: Installation, tmp_path: Path
) -> None:
    here = {"SIJI_DATA_DIR": str(installation.settings.data_dir)}
    file = tmp_path / "units.csv"
    head, bad, worse = "code,parent_code,level,name\n", "1306-x1,1399,city,甲局\n", "1306-x2,1398,city,乙局\n"
    file.write_text(head + bad)
    assert siji.refused(f"bureaus import {file}", **here).count("1399") == 1
    file.write_text(head + bad + worse)
    both = siji.refused(f"bureaus import {file}", **here)
    assert (both.count("1398"), both.count("\n")) == (1, 3)


def test_a_list_goes_over_as_many_pages_as_there_are(siji: Siji) -> None:
    towns = siji.did("bureaus list --level township", by="minzheng", language="en").splitlines()
    assert towns[0] == "code\tname\tlevel"
    assert len(towns) > 300
    assert len(set(towns)) == len(towns)


def test_a_system_is_registered_edited_and_retired(siji: Siji) -> None:
    made = siji.json(
        "systems register 1306-mzj-s9 --bureau 1306-mzj --name 婚姻登记预约 --mlps-grade 2 --zone extranet",
        by="minzheng",
    )
    assert made["revision"] == 1
    edited = siji.did("systems edit 1306-mzj-s9 --contacts 王工 --name 婚姻登记", by="minzheng")
    assert "名称\t婚姻登记\n" in edited
    assert "网络区\t政务外网区\n" in edited
    assert "联系人\t王工\n" in siji.did("systems show 1306-mzj-s9", by="minzheng")
    assert "1306-mzj-s9\t婚姻登记\t" in siji.did("systems list --bureau 1306-mzj", by="minzheng")
    assert "1306-mzj\t" in siji.did("systems owners 1306-mzj-s9", by="minzheng")
    assert siji.json("systems retire 1306-mzj-s9", by="minzheng")["retired_at"]
    assert "1306-mzj-s9" not in siji.did("systems list --bureau 1306-mzj", by="minzheng")


def test_an_account_is_made_given_a_role_and_closed(siji: Siji) -> None:
    made = siji("accounts add zhangsan 张三 --bureau 1306-rsj", by="xitong")
    [password] = made.stdout.splitlines()
    assert password not in made.stderr
    assert "只显示这一次" in made.stderr
    role = siji.json("roles give zhangsan bureau_member 1306-rsj", by="anquan")
    assert "部门成员\t1306-rsj\t" in siji.did("roles list zhangsan", by="anquan")
    assert "zhangsan\t张三\t" in siji.did("roles holders 1306-rsj", by="anquan")
    siji.did(f"roles end zhangsan {role['id']}", by="anquan")
    assert siji.json("roles list zhangsan", by="anquan") == []
    assert siji.json("accounts depart zhangsan", by="xitong")["departed_at"]
    assert "zhangsan" not in siji.did("accounts list --bureau 1306-rsj", by="xitong")
    assert "zhangsan" in siji.did("accounts list --bureau 1306-rsj --departed", by="xitong")


def test_a_password_is_changed_by_who_knows_the_old_one(siji: Siji) -> None:
    own = "一个全新的十二字以上密码"
    [one_time] = siji.did("accounts add wangwu 王五 --bureau 1306-rsj", by="xitong").splitlines()
    assert "siji password wangwu" in siji.did(f"sign-in wangwu --password {one_time}")
    assert siji.refused(f"password wangwu --old wrong --new {own}")
    assert siji.refused(f"password wangwu --old {one_time} --new short")
    mistyped = siji("password wangwu", stdin=f"{one_time}\n{own}\nother\n{own}\n{own}\n")
    assert mistyped.exit_code == 0
    assert "再输入一次 · once more" in mistyped.stdout
    assert one_time not in mistyped.output
    assert siji.refused(f"sign-in wangwu --password {one_time}")
    assert "王五" in siji.did("whoami")
    assert "password" not in siji.did(f"sign-in wangwu --password {own}")


def test_a_new_password_is_asked_for_by_its_rules_and_not_for_ever(siji: Siji) -> None:
    [one_time] = siji.did("accounts add zhaoliu 赵六 --bureau 1306-rsj", by="xitong").splitlines()
    wrong = siji("password zhaoliu", stdin=f"{one_time}\n" + "one of them\nanother\n" * 3)
    assert wrong.exit_code == 1
    assert wrong.stderr.startswith("新密码须为 12 至 256 个字符")
    assert wrong.stderr.count("两次输入不一致\n") == 3
    assert wrong.stderr.endswith("密码未更改\n")
    english = siji("password zhaoliu", stdin=f"{one_time}\na\nb\na\na\n", language="en_US.UTF-8")
    assert "12 to 256 characters" in english.stderr
    assert "The two are not the same\n" in english.stderr
    assert english.exit_code == 1


def test_a_one_time_password_is_to_be_replaced_before_anything_else(siji: Siji) -> None:
    [one_time] = siji.did("accounts add xitong2 李系统 --bureau 1306-zhb", by="xitong").splitlines()
    siji.did("roles give xitong2 system_admin 1306", by="anquan")
    assert siji.refused(f"password xitong2 --old {one_time} --new short")
    assert "尚未登录" in siji.refused("whoami")
    siji.did(f"sign-in xitong2 --password {one_time}")
    for line in ("accounts add sunqi 孙七 --bureau 1306-rsj", "inbox", "bureaus list"):
        assert siji.refused(line) == "您使用的是一次性密码，请先设置自己的密码\n"
    assert "one-time password" in siji.refused("inbox", language="en_US.UTF-8")
    assert "李系统" in siji.did("whoami")
    siji.did(f"password xitong2 --old {one_time} --new 一个全新的十二字以上密码")
    siji.did("accounts add sunqi 孙七 --bureau 1306-rsj")


def test_a_sign_in_that_fails_says_who_stays_signed_in(siji: Siji) -> None:
    assert "后续命令" not in siji.refused("sign-in shenhe --password wrong")
    siji.did("whoami", by="minzheng")
    [one_time] = siji.did("accounts add zhouba 周八 --bureau 1306-rsj", by="xitong").splitlines()
    for line in (
        "sign-in shenhe --password wrong",
        "password shenhe --old wrong --new 一二三四五六七八九十十一",
        f"password zhouba --old {one_time} --new short",
    ):
        refused = siji.refused(line, by="minzheng")
        assert "仍以此前登录的 " in refused
        assert "（1306-mzj）" in refused
    assert "1306-mzj" in siji.did("whoami", by="minzheng")


def test_a_refused_change_of_a_password_leaves_no_session_open(
    siji: Siji, installation: Installation
) -> None:
    [one_time] = siji.did("accounts add zhouba 周八 --bureau 1306-rsj", by="xitong").splitlines()
    assert siji.refused(f"password zhouba --old {one_time} --new short")
    with reading(installation.engine) as session:
        person = session.scalars(select(Person).where(Person.login == "zhouba")).one()
        [opened] = session.scalars(select(SignInSession).where(SignInSession.person_id == person.id))
        assert opened.ended_at is not None


def test_signing_in_beside_a_token_is_warned_of(siji: Siji) -> None:
    [one_time] = siji.did("accounts add zhouba 周八 --bureau 1306-rsj", by="xitong").splitlines()
    line = f"sign-in zhouba --password {one_time}"
    assert "unset SIJI_TOKEN" in siji(line, SIJI_TOKEN="siji_1_x").stderr
    assert siji(line, SIJI_TOKEN="").stderr == ""


def test_a_token_that_is_rotated_prints_its_successor_alone(siji: Siji, installation: Installation) -> None:
    issue = "tokens issue 1306-mzj-s1 --label 夜间 --scope datasets:pull --expires-on"
    assert siji.refused(f"{issue} 2020-01-01", by="minzheng")
    day = city_date(installation.clock.now()) + timedelta(days=30)
    first = siji.json(f"{issue} {day}", by="minzheng")
    rotated = siji(f"tokens rotate {first['id']} --expires-on {day} --overlap-days 1", by="minzheng")
    [text] = rotated.stdout.splitlines()
    assert text.startswith("siji_")
    assert siji.did("whoami", SIJI_TOKEN=text)
    assert siji.json(f"tokens revoke {first['id']}", by="anquan")["revoked_at"]


def test_who_is_not_signed_in_is_told_how_to(siji: Siji) -> None:
    assert "尚未登录" in siji.refused("requests list")
    assert "You are not signed in" in siji.refused("requests list", language="en_US.UTF-8")
    assert siji.refused("whoami", SIJI_TOKEN="siji_1_nonsense")


def test_a_token_that_is_empty_counts_as_none(siji: Siji) -> None:
    """As `export SIJI_TOKEN=$(siji tokens issue …)` leaves it when nothing was issued."""
    assert "尚未登录" in siji.refused("whoami", SIJI_TOKEN="")
    assert "尚未登录" in siji.refused("whoami", SIJI_TOKEN=" ")
    siji.did("whoami", by="minzheng", SIJI_TOKEN="")


def test_a_token_that_no_header_can_carry_is_refused_by_name(siji: Siji) -> None:
    for token in ("无法连接门户", "siji_1_a\nsiji_2_b", "siji_1 a"):
        assert "SIJI_TOKEN 不是令牌" in siji.refused("whoami", by="minzheng", SIJI_TOKEN=token)
    english = siji.refused("whoami", SIJI_TOKEN="é", language="en_US.UTF-8")
    assert english.startswith("SIJI_TOKEN is no token")


def test_a_portal_that_does_not_answer_is_named(siji: Siji) -> None:
    away = siji.refused("inbox", SIJI_PORTAL_URL="http://127.0.0.1:9", SIJI_TOKEN="siji_1_x")
    assert "无法连接门户 http://127.0.0.1:9" in away


def test_a_name_in_a_path_stays_one_name() -> None:
    assert at("datasets", "307003003/000001", "batches") == "/datasets/307003003%2F000001/batches"
    assert at("bureaus", "1306?x#y") == "/bureaus/1306%3Fx%23y"
