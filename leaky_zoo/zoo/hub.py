"""Presets on a hub that speaks Hugging Face's API: `HF_ENDPOINT`, or huggingface.co; its own client does the work."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from leaky_zoo.errors import InvalidInputError, WriteFailedError, naming_extras
from leaky_zoo.io.reading import one_line
from leaky_zoo.zoo.addresses import HubAddress

TAG = "leaky-resnet"  # of every card that this project writes
PATIENCE = 5.0  # seconds for an answer


def fetch_from_hub(address: HubAddress, files: Sequence[str]) -> Path:
    """A folder with files of a preset, in the hub's own cache (`HF_HOME`); unchanged ones are not fetched again.

    Args:
        address: of the preset.
        files: those that are wanted, where it has them.

    Raises:
        InvalidInputError: no such repository or revision, or the hub cannot be reached and the cache has nothing.
        WriteFailedError: the cache cannot be written.
    """
    with _client() as hub:
        folder = hub.snapshot_download(
            address.repository,
            revision=address.revision,
            allow_patterns=list(files),
            etag_timeout=PATIENCE,
            endpoint=_endpoint(),
        )
    return Path(folder)


def presets_of_user(user: str) -> list[HubAddress]:
    """The presets of a user: repositories with this project's tag."""
    with _client() as hub:
        found = list(hub.HfApi(endpoint=_endpoint()).list_models(author=user, filter=TAG))
    names = [model.id.removeprefix(f"{user}/") for model in found if model.id.startswith(f"{user}/")]
    return [HubAddress(user, name, None) for name in names]


def refuse_existing(address: HubAddress) -> None:
    """Refuse to write over a preset.

    Raises:
        InvalidInputError: there is one at the address.
    """
    with _client() as hub:
        api = hub.HfApi(endpoint=_endpoint())
        if api.file_exists(address.repository, "metadata.json", revision=address.revision):
            raise InvalidInputError(f"hf://{address.repository} holds a preset; pass overwrite=True to replace it.")


def upload_to_hub(folder: Path, address: HubAddress, gone: Sequence[str]) -> str:
    """Upload a preset's folder as one commit.

    Args:
        folder: whole and checked.
        address: where to; the repository is made if it is not there, and the revision must be a branch.
        gone: files that a preset may have and this one has not: removed if they are there.

    Returns:
        The address with the commit's hash, which names these bytes for good.

    Raises:
        InvalidInputError: not allowed, or the hub cannot be reached.
    """
    with _client() as hub:
        api = hub.HfApi(endpoint=_endpoint())
        api.create_repo(address.repository, exist_ok=True)
        done = api.upload_folder(
            repo_id=address.repository,
            folder_path=folder,
            revision=address.revision,
            commit_message=f"Preset {folder.name}",
            delete_patterns=list(gone),
        )
    return f"hf://{address.repository}@{done.oid}"


def _endpoint() -> str | None:
    """Where the hub is; read now, as its client reads it when it is imported."""
    return os.environ.get("HF_ENDPOINT") or None


@contextlib.contextmanager
def _client() -> Iterator[Any]:
    """The hub's client, quiet; what it raises becomes one sentence."""
    with naming_extras():
        import huggingface_hub as hub
        import huggingface_hub.errors
        import huggingface_hub.utils
    noisy = not hub.utils.are_progress_bars_disabled()
    hub.utils.disable_progress_bars()
    try:
        yield hub
    except hub.errors.LocalEntryNotFoundError as error:
        where = _endpoint() or "huggingface.co"
        raise InvalidInputError(f"{where} cannot be reached, and the cache has no such preset.") from error
    except hub.errors.RevisionNotFoundError as error:
        raise InvalidInputError("The hub has no such revision of this repository.") from error
    except hub.errors.RepositoryNotFoundError as error:
        raise InvalidInputError(
            "The hub has no such repository, or a token is needed for it: set HF_TOKEN, or `hf auth login`."
        ) from error
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise WriteFailedError(
            f"The hub's cache cannot be written ({error.strerror}: {error.filename}): set HF_HOME to a folder that can."
        ) from error
    except (hub.errors.HfHubHTTPError, hub.errors.HFValidationError, OSError, ValueError) as error:
        if isinstance(error, InvalidInputError):
            raise
        raise InvalidInputError(f"The hub refuses: {one_line(error)}.") from error
    finally:
        if noisy:
            hub.utils.enable_progress_bars()
