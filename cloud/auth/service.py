"""The door: accounts, sessions and tokens; who somebody is."""

from __future__ import annotations

from cloud.auth.accounts import account, check_password, close_account, create_user, of_address
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
    "account",
    "bearer",
    "check_node_token",
    "check_password",
    "close_account",
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
    "of_address",
    "open_api",
    "open_page",
    "page_user",
    "refresh",
    "sessions",
]
