"""One file a platform. A helper that is not a platform lives one level up, because every module here must register."""
