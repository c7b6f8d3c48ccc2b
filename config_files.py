"""Settings of files that people send: where they are kept, what is taken, who looks at them. A part of config.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode

from activities.files import Bucket

MEGABYTE: Final = 1 << 20


def split_names(value: object) -> object:
    """Return the parts of a list that is written with commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_names)]


class FileSettings(BaseSettings):
    """Every value has a default: files are kept in a folder, looked at by ourselves, and nothing is transcribed."""

    files_dir: Path | None = Field(
        default=None,
        description="Folder where files are kept, shared by api and workers. Default: `files` in `POWERNODE_VAR_DIR`.",
    )
    files_bucket: str | None = Field(
        default=None,
        description="Bucket of any S3-compatible store, `name` or `name/prefix`, in which files are kept instead.",
    )
    files_s3_endpoint: str | None = Field(
        default=None, description="Origin of that store. Default: that of AWS for the region."
    )
    files_s3_region: str = Field(default="us-east-1", description="Region of the bucket.")
    files_s3_access_key_id: str | None = Field(
        default=None, description="Access key of the bucket. Default: as the environment has it, as usual for AWS."
    )
    files_s3_secret_access_key: SecretStr | None = Field(default=None, description="Its secret.")
    file_max_bytes: int = Field(
        default=25 * MEGABYTE, ge=1, le=2_000 * MEGABYTE, description="Largest file that is taken, in bytes."
    )
    file_timeout_s: float = Field(
        default=120.0, ge=1, le=480, description="Seconds that the download of one file may take."
    )
    file_least_bytes_per_s: int = Field(
        default=1_024, ge=0, description="Pace, over 15 s, below which a download is given up and tried again."
    )
    file_wait_s: float = Field(
        default=30.0,
        ge=0,
        le=300,
        description="Seconds that an answer waits for the files of a message without words, such as a voice message.",
    )
    uploads_keep_hours: float = Field(
        default=24.0, ge=0.1, le=8_760, description="Hours after which an upload that no message names is deleted."
    )
    files_keep_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description="Days after which stored files are deleted; their messages stay and say so. Default: they are kept.",
    )
    files_at_once: int = Field(default=16, ge=1, le=500, description="Files that one worker fetches at the same time.")
    allowed_private_hosts: Names = Field(
        default=(),
        description="Hosts inside of private networks that tenants' channels may name and from which files may be fetched, as "
        "`host:port` or origins, separated by commas: a chat server of your own. Default: none.",
    )
    clamd: str | None = Field(
        default=None,
        pattern=r"^(unix:/.+|.+:[0-9]{1,5})$",
        description="ClamAV's daemon, `unix:/path` or `host:port`; every file is scanned by it before it is kept.",
    )
    transcription_base_url: str | None = Field(
        default=None,
        description="OpenAI-compatible endpoint that writes down voice messages (`/audio/transcriptions`).",
    )
    transcription_api_key: SecretStr | None = Field(default=None, description="Key for that endpoint.")
    transcription_model: str = Field(default="whisper-1", description="Model name at that endpoint.")

    def bucket(self) -> Bucket | None:
        """Return the bucket to keep files in; None for the folder."""
        if self.files_bucket is None:
            return None
        name, _, prefix = self.files_bucket.partition("/")
        secret = self.files_s3_secret_access_key
        return Bucket(
            name,
            prefix,
            self.files_s3_endpoint,
            self.files_s3_region,
            self.files_s3_access_key_id,
            secret.get_secret_value() if secret else None,
        )
