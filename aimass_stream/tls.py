"""Certificates: one of your own, or one made here on first start (phones give no camera to plain http)."""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .errors import InvalidInput
from .settings import Settings

VALID_DAYS = 365  # browsers refuse leaf certificates that are valid for much longer


def certificate(settings: Settings) -> tuple[Path, Path] | None:
    """Paths of the certificate and key (PEM) to serve with, or None for plain http."""
    if settings.tls is None:
        return None
    if settings.tls == "self":
        return _own(settings)
    cert, comma, key = settings.tls.partition(",")
    if not comma:
        raise InvalidInput("give 'CERT,KEY' (two PEM files) or 'self'", field="tls")
    for path in (cert, key):
        if not Path(path).is_file():
            raise InvalidInput(f"there is no file {path}", field="tls")
    return Path(cert), Path(key)


def addresses() -> list[str]:
    """This machine's own addresses that others may reach it by, without asking any network service."""
    found = set(_resolve(socket.gethostname()))
    for family, target in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((target, 9))  # UDP: chooses a route, sends nothing (documentation addresses, RFC 5737)
                found.add(probe.getsockname()[0])
            except OSError:
                continue
    return sorted(address for address in found if not address.startswith(("127.", "::1", "fe80")))


def _resolve(name: str) -> list[str]:
    try:
        return [str(info[4][0]) for info in socket.getaddrinfo(name, None)]
    except OSError:
        return []


def _own(settings: Settings) -> tuple[Path, Path]:
    folder = settings.data_dir / "tls"
    cert_path, key_path = folder / "cert.pem", folder / "key.pem"
    names = _names(settings)
    if cert_path.is_file() and key_path.is_file() and _still_good(cert_path, names):
        return cert_path, key_path
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "AI Mass Stream")])
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    cert = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    descriptor = os.open(key_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                     serialization.NoEncryption()))
    cert_path.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    return cert_path, key_path


def _names(settings: Settings) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.DNSName(socket.gethostname())]
    extra = [settings.advertised_address] if settings.advertised_address else []
    for address in ["127.0.0.1", "::1", *addresses(), *extra]:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(address.partition("%")[0])))
        except ValueError:
            names.append(x509.DNSName(address))
    return names


def _still_good(path: Path, names: list[x509.GeneralName]) -> bool:
    cert = x509.load_pem_x509_certificate(path.read_bytes())
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=7)
    known = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return cert.not_valid_after_utc > soon and all(name in known for name in names)
