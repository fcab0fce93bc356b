"""The door: accounts, sessions and tokens; who somebody is."""

from __future__ import annotations

from cloud.auth.accounts import (
    account,
    change_password,
    check_password,
    close_account,
    confirm,
    create_user,
    forgotten,
    name_of,
    of_address,
    register,
    reset,
)
from cloud.auth.devices import device
from cloud.auth.letters import letter
from cloud.auth.models import User
from cloud.auth.node_tokens import check_node_token, is_node_token, node_token
from cloud.auth.passwords import hash_pin, new_password
from cloud.auth.programs import add as add_program
from cloud.auth.programs import is_key, program, programs
from cloud.auth.programs import revoke as revoke_program
from cloud.auth.programs import rotate as rotate_program
from cloud.auth.schemas import App, NewAccount
from cloud.auth.second_factor import begin as begin_second_factor
from cloud.auth.second_factor import prove
from cloud.auth.second_factor import remove as remove_second_factor
from cloud.auth.second_factor import state as second_factor
from cloud.auth.sessions import (
    CLEAR,
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
from cloud.auth.staff import accounts_of, invite
from cloud.auth.staff import change as change_account

__all__ = [
    "CLEAR",
    "App",
    "NewAccount",
    "User",
    "account",
    "accounts_of",
    "add_program",
    "bearer",
    "begin_second_factor",
    "change_account",
    "change_password",
    "check_node_token",
    "check_password",
    "close_account",
    "confirm",
    "cookie",
    "cookie_name",
    "cookies",
    "create_user",
    "device",
    "end_all",
    "end_one",
    "end_session",
    "forgotten",
    "hash_pin",
    "holder",
    "invite",
    "is_key",
    "is_node_token",
    "letter",
    "name_of",
    "new_password",
    "node_token",
    "of_address",
    "open_api",
    "open_page",
    "page_user",
    "program",
    "programs",
    "prove",
    "refresh",
    "register",
    "remove_second_factor",
    "reset",
    "revoke_program",
    "rotate_program",
    "second_factor",
    "sessions",
]
