"""What goes wrong outside the product and is told as a refusal: settings and records that cannot be used.

Imported when it is needed: the libraries whose errors these are would slow down every command's start.
"""

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, InterfaceError, OperationalError

from infra.errors import Kind, SijiError
from infra.settings import Settings

PREFIX = Settings.model_config["env_prefix"]
NO_PRIVILEGE = "42501"
"""PostgreSQL's state of what a role may not do: the owner of the tables has not granted it yet."""


class SettingsUnusable(SijiError):
    """Variables of the environment that are no such setting."""

    code = "settings_unusable"
    zh = "设置无效：{wrong}；可用的取值见 docs/settings.md"
    en = "These settings cannot be used: {wrong}; docs/settings.md says what they may be"


class RecordsUnusable(SijiError):
    """The database of the records cannot be reached or refuses to serve."""

    kind = Kind.unavailable
    code = "records_unusable"
    zh = "无法使用数据库：{why}；请检查 SIJI_DATABASE_URL 和数据库服务"
    en = "The records cannot be used: {why}; check SIJI_DATABASE_URL and the database's server"


def refusal_of(error: Exception) -> SijiError | None:
    """What a person is told of `error`; None for one that is the product's own fault."""
    if isinstance(error, ValidationError) and error.title == Settings.__name__:
        return SettingsUnusable(wrong=", ".join(_wrong(one) for one in error.errors()))
    if isinstance(error, SettingsError):  # which names the field in quotes, and no more
        field = str(error).split('"')[1]
        return SettingsUnusable(wrong=f"{PREFIX}{field.upper()} ≠ JSON")
    if isinstance(error, ArgumentError):
        return RecordsUnusable(why=str(error))
    if isinstance(error, DBAPIError) and _is_the_servers(error):
        return RecordsUnusable(why=" ".join(str(error.orig).split()))
    return None


def _wrong(found: ErrorDetails) -> str:
    """The variable, where in its JSON if it is that, and what stands there."""
    if not found["loc"]:  # settings that do not go together: their validator names them
        return str(found["ctx"]["error"])
    variable, *inside = found["loc"]
    place = f"{PREFIX}{variable}".upper() + "".join(f".{one}" for one in inside)
    return place if found["type"] == "missing" else f"{place}={found['input']}"


def _is_the_servers(error: DBAPIError) -> bool:
    if isinstance(error, OperationalError | InterfaceError) or type(error) is DatabaseError:
        return True
    return getattr(error.orig, "sqlstate", None) == NO_PRIVILEGE
