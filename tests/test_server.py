import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from aimass_stream import tls
from aimass_stream.errors import InvalidInput
from aimass_stream.server import check
from tests.support.command import here
from tests.support.options import settings
from tests.support.server import served


def test_a_public_address_needs_a_key_or_an_explicit_wish() -> None:
    with pytest.raises(InvalidInput, match="--api-key"):
        check(settings(host="0.0.0.0"))
    check(settings(host="0.0.0.0", api_key="long enough"))
    check(settings(host="0.0.0.0", insecure=True))
    check(settings(host="0.0.0.0", accounts=True))
    check(settings(host="127.0.0.1"))


def test_serve_refuses_a_public_address_with_a_sentence() -> None:
    done = subprocess.run([sys.executable, "-m", "aimass_stream", "serve", "--host", "0.0.0.0", "--port", "0"],
                          capture_output=True, text=True, timeout=60,
                          env={key: value for key, value in os.environ.items() if not key.startswith("AIMASS_")})
    assert done.returncode == 2
    assert "--insecure" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("arguments", "environment", "says"), [
    (["--port", "{taken}"], {}, "--port: {taken} is in use"),
    (["--host", "nohost.invalid", "--insecure"], {}, "no address of the name nohost.invalid"),
    (["--tls", "cert.pem"], {}, "--tls: give 'CERT,KEY'"),
    (["--port", "70000"], {}, "--port"),
    ([], {"AIMASS_MAX_FPS": "fast"}, "AIMASS_MAX_FPS: "),
    ([], {"AIMASS_UDP_PORTS": "many"}, "AIMASS_UDP_PORTS: "),
    (["--port", "{taken}"], {"AIMASS_PRT": "1"}, "AIMASS_PRT is no setting"),
])
def test_a_wrong_option_is_named_in_a_sentence(arguments: list[str], environment: dict[str, str], says: str,
                                               tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = str(other.getsockname()[1])
        done = here("serve", *(word.format(taken=taken) for word in arguments),
                    **{"COLUMNS": "200", "AIMASS_DATA_DIR": str(tmp_path)} | environment)
    assert done.code == 2
    assert says.format(taken=taken) in done.err


def test_a_public_server_with_its_own_certificate_shows_a_qr_code(tmp_path: Path) -> None:
    with served("--host", "0.0.0.0", "--tls", "self", "--api-key", "a key for tests") as (url, process):
        assert url.startswith("https://")
        context = ssl.create_default_context(cafile=_certificate(process.pid))
        port = url.rsplit(":", 1)[1]
        assert httpx.get(f"https://127.0.0.1:{port}/healthz", verify=context).json() == {"status": "ok"}
        assert "▀" in _log(process.pid) or "█" in _log(process.pid)


def test_it_starts_soon_and_stops_when_asked() -> None:
    begun = time.monotonic()
    with served() as (url, process):
        assert time.monotonic() - begun < 20
        assert httpx.get(f"{url}/readyz").status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) in (0, -signal.SIGTERM)


def test_a_first_start_with_accounts_prints_a_link_for_the_admin() -> None:
    with served("--accounts") as (url, process):
        assert httpx.get(f"{url}/v1/sessions").status_code == 401
        link = f"{url}/sign-up#adm_"
        assert link in _log(process.pid)
        token = "adm_" + _log(process.pid).split(link)[1].split()[0]
        body = {"token": token, "name": "ada", "password": "a long one, hers"}
        with httpx.Client(base_url=url) as browser:
            made = browser.post("/v1/accounts/sign-up", json=body)
            assert (made.status_code, made.json()["user"]["role"]) == (201, "admin")
            assert browser.get("/v1/sessions").status_code == 200
        assert httpx.post(f"{url}/v1/accounts/sign-up", json=body | {"name": "eve"}).status_code == 401
        assert token not in _log(process.pid).replace(link + token.removeprefix("adm_"), "")


def test_certificates_are_kept_while_they_are_good(tmp_path: Path) -> None:
    options = settings(tls="self", data_dir=tmp_path)
    first = tls.certificate(options)
    assert first is not None
    text = first[0].read_bytes()
    assert tls.certificate(options) == first
    assert first[0].read_bytes() == text
    assert first[1].stat().st_mode & 0o077 == 0
    other = settings(tls="self", data_dir=tmp_path, advertised_address="203.0.113.7")
    tls.certificate(other)
    assert first[0].read_bytes() != text  # it has to carry the new name


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"nothing\.pem"):
        tls.certificate(settings(tls=f"{tmp_path}/nothing.pem,{tmp_path}/key.pem"))
    with pytest.raises(InvalidInput, match="CERT,KEY"):
        tls.certificate(settings(tls="cert.pem"))


def _folder(pid: int) -> Path:
    arguments = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return Path(arguments[arguments.index("--data-dir") + 1])


def _certificate(pid: int) -> str:
    return str(_folder(pid) / "tls" / "cert.pem")


def _log(pid: int) -> str:
    return (_folder(pid) / "server.log").read_text()
