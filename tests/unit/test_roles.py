"""The rules of roles and permissions, without a database."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.actor import INSTALLATION, Actor
from identity.roles import (
    GIVES,
    PERMISSION_NAMES,
    ROLE_NAMES,
    ROLE_PERMISSIONS,
    SCOPE_PERMISSIONS,
    SEPARATED,
    Permission,
    Role,
    TokenScope,
    bureaus_with,
    find_excluding,
    givers_of,
    permission_table,
    roles_with,
    scopes_with,
)

BUSINESS = [role for role in Role if role not in SEPARATED]


def test_every_role_scope_and_permission_is_told_in_both_languages_and_used() -> None:
    assert set(ROLE_PERMISSIONS) == set(ROLE_NAMES) == set(Role)
    assert set(SCOPE_PERMISSIONS) == set(TokenScope)
    assert set(PERMISSION_NAMES) == set(Permission)
    assert frozenset().union(*ROLE_PERMISSIONS.values()) == set(Permission)


def test_the_three_administrators_have_nothing_in_common_but_looking_at_the_tree_and_people() -> None:
    shared = {
        permission
        for one, other in combinations(SEPARATED, 2)
        for permission in ROLE_PERMISSIONS[one] & ROLE_PERMISSIONS[other]
    }
    assert shared == {Permission.bureaus_see, Permission.people_see}


def test_only_the_auditor_reads_the_journal_and_reads_is_all() -> None:
    assert roles_with(Permission.journal_read) == {"auditor"}
    assert ROLE_PERMISSIONS[Role.auditor] == {Permission.bureaus_see, Permission.journal_read}


def test_a_case_is_submitted_reviewed_and_verified_by_different_roles() -> None:
    submitters = roles_with(Permission.requests_submit)
    assert submitters == {"bureau_admin"}
    assert roles_with(Permission.requests_first_review) == {"reviewer"}
    assert roles_with(Permission.requests_review) == roles_with(Permission.requests_verify) == {"operator"}


@pytest.mark.parametrize("held", SEPARATED)
def test_an_administrator_holds_no_other_role(held: Role) -> None:
    for role in Role:
        expected = None if role is held else held
        assert find_excluding(role, [held.value]) == expected
        assert (find_excluding(held, [role.value]) is None) == (role is held)


def test_business_roles_go_together() -> None:
    for role in BUSINESS:
        assert find_excluding(role, [other.value for other in BUSINESS]) is None


@given(st.lists(st.sampled_from(list(Role)), max_size=6))
def test_whatever_is_given_one_by_one_nobody_holds_two_thirds(asked: list[Role]) -> None:
    held: list[str] = []
    for role in asked:
        if find_excluding(role, held) is None:
            held.append(role.value)
    administrators = set(held) & {role.value for role in SEPARATED}
    assert len(administrators) <= 1
    assert not administrators or len(set(held)) == 1


def test_who_gives_what() -> None:
    assert givers_of(Role.operator) == {"security_admin"}
    assert givers_of(Role.auditor) == {"security_admin"}
    assert givers_of(Role.developer) == {"security_admin", "bureau_admin"}
    assert Role.bureau_admin not in GIVES[Role.bureau_admin]
    assert set(GIVES) == {Role(role) for role in roles_with(Permission.roles_give)}


def test_a_permission_holds_at_the_bureaus_of_the_roles_that_carry_it() -> None:
    roles = [("bureau_admin", 7), ("data_steward", 9), ("developer", 11)]
    assert bureaus_with(Permission.requests_submit, roles) == {7}
    assert bureaus_with(Permission.datasets_publish, roles) == {9, 11}
    assert bureaus_with(Permission.journal_read, roles) == frozenset()


def test_scopes_carry_only_what_they_are_named_for() -> None:
    assert scopes_with(Permission.datasets_publish) == {"datasets:publish"}
    assert scopes_with(Permission.requests_see) == {"requests:read"}
    for permission in (Permission.requests_submit, Permission.tokens_issue, Permission.roles_give):
        assert scopes_with(permission) == frozenset()


def test_the_table_shows_every_permission_of_every_role() -> None:
    heading, rule, *rows = permission_table().splitlines()
    assert "部门管理员 bureau admin" in heading
    assert len(rows) == len(Permission)
    assert rule.count("|") == heading.count("|") == len(Role) + 2
    marks = {
        (permission, role)
        for permission, row in zip(Permission, rows, strict=True)
        for role, cell in zip(Role, row.split("|")[2:-1], strict=True)
        if cell.strip() == "✓"
    }
    assert marks == {(permission, role) for role in Role for permission in ROLE_PERMISSIONS[role]}


def test_actors_have_names_for_the_journal() -> None:
    assert Actor("person", 12, "张三", 1).journal_id == "person:12"
    token = Actor("service", 3, "系统", 1, datasets=("a",))
    assert token.journal_id == "token:3"
    assert INSTALLATION.journal_id == "installation"
    assert [token.covers_dataset(code) for code in "ab"] == [True, False]
    assert Actor("service", 3, "系统", 1).covers_dataset("b")
