"""An S3 server on 127.0.0.1, moto's, in a process of its own."""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import urlopen

SECONDS_TO_START = 60


@contextmanager
def s3_server(bucket: str) -> Iterator[dict[str, str]]:
    """The environment that s3fs needs for it; the bucket is there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/moto-api/", server)
        environment = {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        make_bucket(url, bucket)
        forget_servers()
        yield environment
    finally:
        forget_servers()
        server.kill()
        server.wait()


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(SECONDS_TO_START * 20):
        try:
            with urlopen(url):
                return
        except OSError:
            if server.poll() is not None:
                raise RuntimeError(f"moto's server ended with {server.returncode}") from None
            time.sleep(0.05)
    raise TimeoutError(url)


def forget_servers() -> None:
    """fsspec keeps a file system for each set of arguments, and the address of the server is none of them."""
    import s3fs
    from aiohttp import ClientSession

    s3fs.S3FileSystem.clear_instance_cache()
    for one in gc.get_objects():  # sessions that a later test would find open
        if type(one) is ClientSession and not one.closed:
            one.connector._conns.clear()  # the server is gone
            one.detach()


def make_bucket(url: str, bucket: str) -> None:
    from urllib.request import Request

    with urlopen(Request(f"{url}/{bucket}", method="PUT")):
        pass
