"""The sample city's capacity report says everywhere that its split is illustrative; another never does."""

from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from infra.installation import Installation
from metrics.notes import ILLUSTRATIVE
from portal.sample.people import KEPT_IN
from tests.portal.calls import cloud
from tests.portal.commands import Siji
from tests.portal.conftest import Api, SignIn, portal_over

PREPARED = (cloud,)
ZH = {"accept-language": "zh"}


@pytest.mark.parametrize("is_sample", [True, False])
def test_files_that_the_portal_gives(
    installation: Installation, api: Api, sign_in: SignIn, is_sample: bool
) -> None:
    settings = installation.settings.model_copy(update={"sample": is_sample})
    signed_in: list[tuple[TestClient, str]] = [
        (api("shenhe"), "/api/v1/reports/capacity?form=csv"),
        (sign_in("shenhe"), "/report.csv"),
    ]
    portal_over(replace(installation, settings=settings))
    for client, path in signed_in:
        answer = client.get(path, headers=ZH)
        assert answer.status_code == 200
        assert (ILLUSTRATIVE[0] in answer.text) is is_sample


def test_the_command_knows_the_sample_city_by_its_people(siji: Siji, installation: Installation) -> None:
    """`siji run` alone is told that it is the sample city; in the next terminal nobody is."""
    here = {"SIJI_DATA_DIR": str(installation.settings.data_dir)}
    for by in ("level", "bureau"):
        assert "illustrative" not in siji.did(f"report --by {by}", language="en", **here)
    (installation.settings.data_dir / KEPT_IN).touch()
    for by in ("level", "bureau"):
        assert "illustrative" in siji.did(f"report --by {by}", language="en", **here)
