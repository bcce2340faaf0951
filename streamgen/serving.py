"""What `streamgen serve` does, once it knows its settings."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import typer

from streamgen.cli_choices import chosen_bundle, chosen_runtime
from streamgen.settings import Settings
from streamgen.version import __version__

_LOG_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def serve(settings: Settings) -> None:
    """Serve a channel until Ctrl+C.

    Raises:
        ListenError: the address is not free; told before anything heavy is loaded.
        StreamgenError: something else that the settings ask for is not to be had.
        EngineError: the model or its runtime cannot be used.
    """
    logging.basicConfig(level=settings.log_level.upper(), format=_LOG_FORMAT, stream=sys.stderr)
    if settings.log_level != "debug":
        # It tells each candidate pair of each viewer, which buries what an operator looks for.
        logging.getLogger("aioice").setLevel(logging.WARNING)

    from streamgen.http.listener import listen

    with contextlib.closing(listen(settings.host, settings.port)) as listener:
        from streamgen.http import server

        root, _ = chosen_bundle(
            settings.bundle,
            settings.scale,
            settings.picture,
            texts=settings.texts,
            runtime=chosen_runtime(settings.runtime),
            upscale=settings.upscale,
        )
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(server.run(settings, root, listener, announce))
        except asyncio.CancelledError:
            typer.echo("stopped before it was ready", err=True)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


def announce(url: str, operator_link: str | None) -> None:
    """Say where the server is, and where those who run it go."""
    typer.echo(f"streamgen {__version__} serves channel main")
    typer.echo(f"  page:     {url}")
    if operator_link is None:
        typer.echo(f"  operator: {url} (everybody on this machine may steer)")
    else:
        typer.echo(f"  operator: {operator_link}")
    query = "" if operator_link is None else f"?{urlsplit(operator_link).query}"
    typer.echo(f"  console:  {url}operator{query}")
    typer.echo("  stop it with Ctrl+C")
    sys.stdout.flush()
