"""Dumps are read as blocks of whole lines, whatever their compression, and damage is reported."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest
import zstandard

from finetune.data.input_files import InputFile
from finetune.fetch.dumps import Dump

RANDOM = random.Random(0)
LINES = b"".join(
    b'{"id": %d, "body": "%s"}\n' % (number, RANDOM.randbytes(number % 50).hex().encode()) for number in range(2000)
)


def read(path: Path, folder: Path, skip: int = 0) -> tuple[bytes, list[int], Dump]:
    """The content of all blocks, the number of lines in each, and the dump."""
    folder.mkdir(exist_ok=True)
    dump = Dump(InputFile(path, "jsonl"), lambda _: None)
    found, counts = b"", []
    for block, lines in dump.blocks(folder, skip):
        data = block.read_bytes()
        assert data.endswith(b"\n")
        assert data.count(b"\n") == lines
        found += data
        counts.append(lines)
    assert not list(folder.iterdir())
    return found, counts, dump


def packed(name: str, data: bytes) -> bytes:
    if name.endswith(".zst"):
        parameters = zstandard.ZstdCompressionParameters(window_log=27, compression_level=1)
        return zstandard.ZstdCompressor(compression_params=parameters).compress(data)
    return gzip.compress(data) if name.endswith(".gz") else data


@pytest.fixture(params=["a.jsonl", "a.zst", "a.jsonl.gz"])
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.mark.parametrize("block", [100, 5000, 2**26])
def test_blocks_hold_all_lines_and_only_whole_ones(
    name: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finetune.fetch.dumps.BLOCK", block)
    monkeypatch.setattr("finetune.data.compression.CHUNK", 1000)
    (tmp_path / name).write_bytes(packed(name, LINES))
    found, counts, dump = read(tmp_path / name, tmp_path / "blocks")
    assert (found, sum(counts), dump.incomplete) == (LINES, 2000, None)
    assert (len(counts) == 1) == (block == 2**26)


def test_blocks_are_always_the_same_and_can_be_skipped(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finetune.fetch.dumps.BLOCK", 5000)
    monkeypatch.setattr("finetune.data.compression.CHUNK", 1000)
    (tmp_path / name).write_bytes(packed(name, LINES))
    whole, counts, _ = read(tmp_path / name, tmp_path / "blocks")
    rest, later, _ = read(tmp_path / name, tmp_path / "blocks", skip=3)
    assert later == counts[3:]
    assert whole.endswith(rest)
    assert whole.count(b"\n") - rest.count(b"\n") == sum(counts[:3])


def test_a_last_line_without_a_line_end_counts(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(packed(name, LINES + b"last"))
    assert read(tmp_path / name, tmp_path / "blocks")[0] == LINES + b"last\n"


def test_an_empty_file_has_no_blocks(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(packed(name, b""))
    assert read(tmp_path / name, tmp_path / "blocks")[:2] == (b"", [])


def test_concatenated_compressed_files_are_read_to_the_end(tmp_path: Path) -> None:
    for name in ("a.zst", "a.gz"):
        (tmp_path / name).write_bytes(packed(name, LINES) + packed(name, b"") + packed(name, LINES))
        found, _, dump = read(tmp_path / name, tmp_path / "blocks")
        assert (found, dump.incomplete) == (LINES * 2, None)


def test_a_file_that_is_cut_off_keeps_its_whole_lines(tmp_path: Path) -> None:
    for name in ("a.zst", "a.gz"):
        data = packed(name, LINES * 10)
        (tmp_path / name).write_bytes(data[: len(data) // 2])
        found, _, dump = read(tmp_path / name, tmp_path / "blocks")
        assert dump.incomplete == "it is cut off"
        assert (LINES * 10).startswith(found)


def test_a_damaged_file_is_read_up_to_the_damage(tmp_path: Path) -> None:
    for name in ("a.zst", "a.gz"):
        (tmp_path / name).write_bytes(packed(name, LINES) + b"this was never compressed")
        found, _, dump = read(tmp_path / name, tmp_path / "blocks")
        assert found == LINES
        assert (dump.incomplete or "").startswith("it is damaged (")


def test_a_decompression_window_of_2_gb_is_accepted(tmp_path: Path) -> None:
    """Reddit's dumps have such a window. zstandard refuses more than 128 MB by default."""
    parameters = zstandard.ZstdCompressionParameters(window_log=31, compression_level=1, enable_ldm=True)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    (tmp_path / "a.zst").write_bytes(compressor.compress(LINES) + compressor.flush())
    assert zstandard.get_frame_parameters((tmp_path / "a.zst").read_bytes()).window_size == 2**31
    assert read(tmp_path / "a.zst", tmp_path / "blocks")[0] == LINES
