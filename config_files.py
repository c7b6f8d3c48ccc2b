"""Settings of files that people send: where they are kept, what is taken, who looks at them. A part of config.py."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from activities.files import Bucket

MEGABYTE: Final = 1 << 20


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
