"""Archives of models: what lies in them, and what is refused."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from aimass_stream.errors import AimassError, InvalidInput, TooLarge
from aimass_stream.hub.archives import inner, unpack
from tests.support.model_files import zipped

MOST = 100 << 20


def unpacked(folder: Path, content: bytes, most: int = MOST) -> list[str]:
    (folder / "in").write_bytes(content)
    (folder / "out").mkdir()
    return unpack(folder / "in", folder / "out", most)


def tar(name: str, content: bytes = b"content", **changed: object) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        for key, value in changed.items():
            setattr(info, key, value)
        archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def test_a_folder_around_all_files_is_left_out(tmp_path: Path) -> None:
    files = unpacked(tmp_path, zipped({"fish/model.onnx": b"m", "fish/data/w.bin": b"w"}))
    assert files == ["data/w.bin", "model.onnx"]
    assert (tmp_path / "out" / "data" / "w.bin").read_bytes() == b"w"


def test_tar_files(tmp_path: Path) -> None:
    assert unpacked(tmp_path, tar("./model.onnx")) == ["model.onnx"]


@pytest.mark.parametrize("name", ["../m.onnx", "/etc/cron.d/m", "a/../../m", "a\\..\\m", "C:\\m", "a/b/c/d/e", ".",
                                  "nul", "a\nb", " . /m", "a/\u202em", "x" * 121])
def test_names_that_lead_elsewhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput):
        inner(name)
    for content in (zipped({name: b"x", "model.onnx": b""}), tar(name)):
        with pytest.raises(InvalidInput):
            unpacked(tmp_path, content)
        assert sorted(path.name for path in tmp_path.rglob("*")) == ["in", "out"]
        (tmp_path / "out").rmdir()


def test_links_and_devices(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("m.onnx")
    link.external_attr = 0o120777 << 16
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    for content in (made.getvalue(), tar("m", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
                    tar("m", b"", type=tarfile.LNKTYPE, linkname="../in"), tar("m", b"", type=tarfile.CHRTYPE)):
        with pytest.raises(InvalidInput, match="link or a device"):
            unpacked(tmp_path, content)
        (tmp_path / "out").rmdir()


def test_bombs(tmp_path: Path) -> None:
    bomb = zipped({"m.onnx": bytes(80 << 20)})
    assert len(bomb) < 100_000
    with pytest.raises(TooLarge, match="bomb"):
        unpacked(tmp_path, bomb)


def test_more_than_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(TooLarge):
        unpacked(tmp_path, zipped({"a": bytes(600), "b": bytes(600)}), most=1000)


def test_more_files_than_are_allowed(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match="more than 2000 files"):
        unpacked(tmp_path, zipped({f"f{number}": b"" for number in range(2001)}))


@pytest.mark.parametrize("content", [
    b"neither", zipped({"m.onnx": b"x" * 10_000})[:-30], zipped({"m.onnx": b"1", "M.onnx": b"2"}), tar("m")[:40]],
    ids=["neither", "cut off", "twice", "cut off tar"])  # bytes in a name would have the time of day in them
def test_what_is_no_whole_archive(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(AimassError):
        unpacked(tmp_path, content)
