"""aiortc's private parts are where `private.py` expects them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import pytest
from aiortc import RTCConfiguration
from aiortc.rtcconfiguration import RTCBundlePolicy

from aimass_stream.transports.webrtc.private import Certificate, PeerConnection, moved
from aimass_stream.transports.webrtc.udp import Ports

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def gate() -> AsyncIterator[None]:
    yield


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_no_private_name_has_moved() -> None:
    configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
    connection = PeerConnection(configuration, Certificate.generateCertificate(), Ports(None, None), gate)
    gone = moved(connection)
    await connection.close()
    assert not gone, (
        f"aiortc {version('aiortc')}, aioice {version('aioice')} or pylibsrtp {version('pylibsrtp')} moved private "
        f"names that aimass_stream/transports/webrtc/private.py relies on: {', '.join(gone)}")
