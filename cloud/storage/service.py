"""The store that the settings ask for."""

from __future__ import annotations

from cloud.platform.settings import Settings
from cloud.storage.folder import FolderStore
from cloud.storage.port import Store


def open_store(settings: Settings) -> Store:
    return FolderStore(settings.data_path)
