"""Static files by hashed names that a browser may keep for ever, served in front of Django."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.headers import Headers

import structlog
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.contrib.staticfiles.storage import StaticFilesStorage, staticfiles_storage
from servestatic import ServeStaticASGI
from servestatic.compress import Compressor
from servestatic.storage import CompressedManifestStaticFilesStorage

logger = structlog.get_logger(__name__)

# A file that somebody opens as a page of its own (an SVG image can hold scripts) may do nothing.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": settings.SECURE_REFERRER_POLICY,
}
SHOWN_AS_TEXT = (".js", ".css")  # if opened as a page: up to fifty of them are loaded by one page


class HashedStorage(CompressedManifestStaticFilesStorage):
    """The hashed names that `collectstatic` has made; plain names if a source is newer."""

    support_js_module_import_aggregation = True
    max_post_process_passes = 20  # one for each module in the longest chain of imports
    _minifies = False

    def load_manifest(self) -> tuple[dict[str, str], str]:
        paths, digest = super().load_manifest()
        return (paths, digest) if paths and self._is_current(paths) else ({}, "")

    def url(self, name: str, force: bool = False) -> str:
        """Return the hashed name also under DEBUG, which the embedded mode is."""
        if self.hashed_files:
            return str(super().url(name, force=True))
        return StaticFilesStorage.url(self, name)

    def compress_files(self, paths: set[str]) -> Iterator[tuple[str, str]]:
        """Compress all files, and minify the compressed copies of our own.

        The minifier knows only a part of JavaScript, which the console keeps to: others' scripts
        do not survive it.
        """
        own = {path for path in paths if path.startswith("console/")}
        for self._minifies, group in ((True, own), (False, paths - own)):
            yield from super().compress_files(group)

    def create_compressor(self, **options: Any) -> Compressor:
        return Compressor(**options | {"minify": self._minifies})

    def _is_current(self, paths: dict[str, str]) -> bool:
        collected_at = Path(self.path(self.manifest_name)).stat().st_mtime
        return all(
            name in paths and Path(storage.path(name)).stat().st_mtime <= collected_at
            for name, storage in sources()
        )


def sources() -> Iterator[tuple[str, Any]]:
    """Each static file of the installed applications, by its name and its storage."""
    for finder in get_finders():
        yield from finder.list(None)


def serve_before(application: Any) -> Any:
    """Return an ASGI application that serves the static files, and the other one all else."""
    static_files, prefix = _server(application), settings.STATIC_URL

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        # Before any path, this server looks for a file: in a thread, if none are collected.
        is_static = scope["path"].startswith(prefix)
        await (static_files if is_static else application)(scope, receive, send)

    return serve


def _server(application: Any) -> ServeStaticASGI:
    is_collected = bool(getattr(staticfiles_storage, "hashed_files", None))
    server = ServeStaticASGI(
        application,
        autorefresh=not is_collected,
        max_age=0,  # of a plain name: a browser asks again, by ETag
        allow_all_origins=False,
        add_headers_function=_add_headers,
    )
    for directory in [settings.STATIC_ROOT] if is_collected else _source_directories():
        server.add_files(directory, prefix=settings.STATIC_URL)
    if not is_collected and not settings.DEBUG:
        logger.warning("static_files_not_collected", hint="run manage.py collectstatic --noinput")
    return server


def _source_directories() -> list[str]:
    """Lowest precedence first."""
    found = dict.fromkeys(storage.location for _, storage in sources())
    return [*reversed(found)]


def _add_headers(headers: Headers, path: str, url: str) -> None:
    headers["X-Content-Type-Options"] = "nosniff"
    if not path.endswith(SHOWN_AS_TEXT):
        for name, value in HEADERS.items():
            headers[name] = value
