"""A wire to the PostgreSQL server that can be cut, as when it stops, mended, as when it starts again, and frozen."""

import asyncio

import sqlalchemy as sa


class Line:
    """Carries bytes from `port` of this machine to the server of a URL."""

    def __init__(self, url: str, port: int) -> None:
        self._server, self._port, self._open = sa.make_url(url), port, set[asyncio.StreamWriter]()
        self._listening: asyncio.Server | None = None
        self.flowing = asyncio.Event()  # cleared, nothing comes through, as when the server hangs
        self.flowing.set()

    def url(self, url: str) -> str:
        """The same database, by way of this line."""
        return sa.make_url(url).set(host="127.0.0.1", port=self._port).render_as_string(hide_password=False)

    async def mend(self) -> None:
        """Takes connections."""
        self._listening = await asyncio.start_server(self._carry, "127.0.0.1", self._port)

    async def cut(self) -> None:
        """Breaks all connections, and refuses new ones."""
        assert self._listening is not None
        self._listening.close()
        for writer in list(self._open):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        beyond = await asyncio.open_connection(self._server.host, self._server.port or 5432)
        self._open |= {writer, beyond[1]}
        await asyncio.gather(self._pour(reader, beyond[1]), self._pour(beyond[0], writer))
        self._open -= {writer, beyond[1]}

    async def _pour(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self.flowing.wait()
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()
