"""The door: accounts, sessions and tokens; who somebody is."""

from __future__ import annotations

from cloud.auth.accounts import check_password, create_user
from cloud.auth.devices import device
from cloud.auth.node_tokens import check_node_token, is_node_token, node_token
from cloud.auth.passwords import hash_pin, new_password
from cloud.auth.sessions import (
    bearer,
    cookie,
    cookie_name,
    cookies,
    end_all,
    end_one,
    end_session,
    holder,
    open_api,
    open_page,
    page_user,
    refresh,
    sessions,
)

__all__ = [
    "bearer",
    "check_node_token",
    "check_password",
    "cookie",
    "cookie_name",
    "cookies",
    "create_user",
    "device",
    "end_all",
    "end_one",
    "end_session",
    "hash_pin",
    "holder",
    "is_node_token",
    "new_password",
    "node_token",
    "open_api",
    "open_page",
    "page_user",
    "refresh",
    "sessions",
]
