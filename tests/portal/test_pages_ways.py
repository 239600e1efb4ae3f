"""Ways through the pages: what a page names it leads to, and where one cannot go on it says who can help."""

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete

from identity.queries import get_bureau
from identity.service.reorganise import abolish
from identity.service.systems import register_system
from infra.database import transaction
from infra.installation import Installation
from portal.pages import bureaus, requests_new
from provisioning.models import RegionImage
from provisioning.service.regions import open_region
from tests.portal.browser import error_at, form_on
from tests.portal.cloud import FUPING, MINZHENG, REGION, SYSTEM, TOWN, open_cloud
from tests.portal.conftest import SignIn
from tests.statements import statements

VILLAGE = "130624101001"
NEW = f"/requests/new?kind=servers&system={SYSTEM}"


def register(here: Installation, code: str, count: int) -> list[str]:
    """Codes of so many more systems of the bureau."""
    codes = [f"{code}-x{number:02}" for number in range(count)]
    with transaction(here.engine) as session:
        owner = get_bureau(session, code=code).id
        for one in codes:
            register_system(
                session,
                bureau_id=owner,
                code=one,
                name=f"系统{one}",
                mlps_grade=2,
                zone="extranet",
                at=here.clock.now(),
                actor="person:1",
            )
    return codes


def test_a_bureaus_systems_are_read_for_who_may_see_them_only(
    sign_in: SignIn, installation: Installation
) -> None:
    for login, reads in (("minzheng", True), ("anquan", False)):
        browser = sign_in(login)
        with statements(installation.engine) as said:
            page = browser.get(f"/bureaus/{MINZHENG}").text
        assert (SYSTEM in page, any("FROM systems" in one for one in said)) == (reads, reads)


def test_for_a_bureau_that_was_abolished_nobody_asks(sign_in: SignIn, installation: Installation) -> None:
    county = sign_in("fuping")
    asks = f'href="/requests/new?bureau={VILLAGE}"'
    assert asks in county.get(f"/bureaus/{VILLAGE}").text
    with transaction(installation.engine) as session:
        village = get_bureau(session, code=VILLAGE)
        abolish(session, bureau_id=village.id, at=installation.clock.now(), actor="person:1")
    page = county.get(f"/bureaus/{VILLAGE}")
    assert (page.status_code, asks in page.text) == (200, False)


def test_a_bureau_leads_to_all_its_systems_and_to_asking_for_them(
    sign_in: SignIn, installation: Installation
) -> None:
    open_cloud(installation)
    codes = register(installation, MINZHENG, bureaus.SYSTEMS_AT_ONCE + 1)
    admin = sign_in("minzheng")
    first = admin.get(f"/bureaus/{MINZHENG}").text
    more = f"/bureaus/{MINZHENG}?after=&amp;system_after="
    assert f'href="/systems/{codes[0]}"' in first
    following = admin.get(more.replace("&amp;", "&") + first.partition(more)[2].partition('"')[0]).text
    assert f'href="/systems/{codes[-1]}"' in first + following
    assert f'href="/requests/new?bureau={MINZHENG}"' in first
    assert admin.get(f"/systems/{codes[0]}").status_code == 200
    assert "/requests/new?bureau" not in sign_in("renshe").get("/bureaus/1306-rsj").text


def test_who_comes_from_a_bureau_below_asks_for_that_one(
    sign_in: SignIn, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_cloud(installation)
    monkeypatch.setattr(requests_new, "SYSTEMS_SHOWN", 3)
    register(installation, FUPING, 3)
    codes = register(installation, TOWN, 2)
    county = sign_in("fuping")
    page = county.get(f"/requests/new?bureau={TOWN}").text
    assert form_on(page, "/requests/new")["bureau"] == [TOWN]
    assert [code for code in codes if f'value="{code}"' in page] == codes
    assert "这里只列出一部分" in page
    other = county.get(f"/requests/new?bureau={MINZHENG}").text
    assert f'value="{MINZHENG}"' not in other


def test_without_the_configured_region_another_is_chosen_and_without_any_it_is_said(
    sign_in: SignIn, installation: Installation
) -> None:
    admin = sign_in("minzheng")
    nothing = admin.get("/requests/new").text
    assert ("尚未开通资源区域" in nothing, "智慧办" in nothing, "下一步" in nothing) == (True, True, False)
    add_region(installation, "north")
    only = admin.get(NEW)
    assert (only.status_code, form_on(only.text, "/requests/new")["region"]) == (200, ["north"])
    assert ("尚未提供规格或镜像" in only.text, "siji regions refresh north" in only.text) == (True, True)
    add_region(installation, "south")
    several = admin.get(NEW)
    assert (several.status_code, error_at(several.text, "region")) == (422, "请填写此项")
    wrong = admin.get(f"{NEW}&region=nowhere")
    assert (wrong.status_code, error_at(wrong.text, "region")) == (422, "请从所列选项中选择")


def test_a_region_without_images_says_who_can_mend_it(sign_in: SignIn, installation: Installation) -> None:
    open_cloud(installation)
    admin: TestClient = sign_in("minzheng")
    assert "尚未提供规格或镜像" not in admin.get(NEW).text
    with transaction(installation.engine) as session:
        session.execute(delete(RegionImage).where(RegionImage.region == REGION))
    assert "尚未提供规格或镜像" in admin.get(NEW).text


def add_region(here: Installation, name: str) -> None:
    with transaction(here.engine) as session:
        open_region(session, name=name, at=here.clock.now(), actor="person:1")
