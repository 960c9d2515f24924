"""Sends a signed event to a URL, once: a POST over http.client, on a thread.

The standard library does all that is needed here, follows no redirect, heeds no proxy of the environment, and is
imported only when there is a webhook. An asynchronous client would be one more dependency for a request now and then.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from ssl import SSLContext, SSLError, create_default_context
from typing import Final
from urllib.parse import urlsplit

from tuiconf.bot.threads import on_thread
from tuiconf.errors import UsageError
from tuiconf.meeting.delivery import Message, Outcome, of_status
from tuiconf.meeting.signing import Secret

_TOO_SLOW: Final = Outcome(again=True, why="no answer in time")


class CertificateError(UsageError):
    """The file of certificates cannot be used."""

    code = "ca_file"


class Webhook:
    """One URL, and what to sign with."""

    def __init__(self, url: str, secret: Secret, *, ca_file: Path | None, timeout_s: float) -> None:
        """`ca_file` names the authorities that are believed instead of the system's.

        Raises:
            CertificateError: it cannot be used.
        """
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._context = _tls(ca_file) if parts.scheme == "https" else None
        self._secret = secret
        self._timeout_s = timeout_s

    def __repr__(self) -> str:
        return "<Webhook>"

    async def send(self, message: Message) -> Outcome:
        """Try once; within the time, whatever the receiver does."""
        request = _Request(self._connection())
        headers = {"Content-Type": "application/json", "User-Agent": "tuiconf"}
        headers |= self._secret.headers(message.delivery, message.body, unix=time.time())
        try:
            async with asyncio.timeout(self._timeout_s):
                return await on_thread(lambda: request.post(self._target, message.body, headers))
        except TimeoutError:  # a receiver that sends a byte now and then never lets the socket's own time run out
            return _TOO_SLOW
        finally:
            request.abort()  # the thread wakes up, and ends

    def _connection(self) -> HTTPConnection:
        if self._context is None:
            return HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        return HTTPSConnection(self._host, self._port, timeout=self._timeout_s, context=self._context)


class _Request:
    def __init__(self, connection: HTTPConnection) -> None:
        self._connection = connection

    def post(self, target: str, body: bytes, headers: dict[str, str]) -> Outcome:
        """Blocking. Only the status line and the headers of the answer are read; http.client bounds both."""
        try:
            self._connection.request("POST", target, body, headers)
            answer = self._connection.getresponse()
            return of_status(answer.status, answer.getheader("Retry-After"), unix=time.time())
        except TimeoutError:
            return _TOO_SLOW
        except SSLError:
            return Outcome(again=True, why="its certificate, or its TLS, is not to be trusted")
        except (OSError, HTTPException, UnicodeError) as error:
            return Outcome(again=True, why=f"no answer ({type(error).__name__})")
        finally:
            self._connection.close()

    def abort(self) -> None:
        """Whatever it waits for, it gets an error."""
        if (connected := self._connection.sock) is not None:
            with contextlib.suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)


def _tls(ca_file: Path | None) -> SSLContext:
    try:
        return create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, SSLError) as error:
        raise CertificateError(f"{ca_file}: no certificates (PEM) can be read there") from error
