"""The FastAPI dependency on an API key."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated, Any

from fastapi import Request, Security
from fastapi.security import HTTPBearer, SecurityScopes

from recovery.http.keys import Caller, Scope

_bearer = HTTPBearer(scheme_name="api_key", auto_error=False, description="A key of `http.keys` or `http.api_keys`.")


def needed(admit: Callable[..., Awaitable[Caller]], scopes: Iterable[Scope]) -> Any:
    """Return the dependency that yields the caller whom `admit` returns; it also documents the required scopes."""

    async def caller(request: Request, needed: SecurityScopes, _described: Annotated[Any, Security(_bearer)]) -> Caller:
        return await admit(request.headers, *map(Scope, needed.scopes))

    return Security(caller, scopes=[scope.value for scope in scopes])
