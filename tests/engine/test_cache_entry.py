"""Cache entries: every byte counts. Oracle: the entry as it was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from etcoreml.engine.cache_entry import (
    DamagedEntryError,
    Description,
    checksum,
    open_entry,
    seal,
)
from etcoreml.engine.session import Port
from etcoreml.types import BY_NAME

KEY = "k" * 64
HEADER = b'<?xml version="1.0"?><compiled_blob file_info="1"/>\n'
MODEL = np.random.default_rng(0).bytes(20_001)
DESCRIPTION = Description(
    outputs=(
        Port("label", BY_NAME["int64"], (), ("a", "b\u00e9")),
        Port("y", BY_NAME["fp16"], (1, None, 3)),
        Port("number", BY_NAME["int64"], (), (-7, 2**40)),
    ),
    is_tiny=True,
    is_fallible=False,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    written = tmp_path / "1.blob"
    written.write_bytes(HEADER + MODEL)
    written.chmod(0o400)  # as OpenVINO leaves it
    seal(written, KEY, DESCRIPTION)
    return written


def test_round_trip(path: Path) -> None:
    entry = open_entry(path, KEY)
    assert entry.model == MODEL
    assert entry.description == DESCRIPTION


def test_another_key_is_refused(path: Path) -> None:
    with pytest.raises(DamagedEntryError):
        open_entry(path, "l" * 64)


def test_a_flipped_bit_anywhere_is_found(path: Path) -> None:
    content = bytearray(path.read_bytes())
    ends = (*range(60), *range(len(HEADER) + len(MODEL) - 8, len(content)))
    for position in sorted({*ends, *range(0, len(content), 97)}):
        content[position] ^= 1 << position % 8
        path.write_bytes(content)
        with pytest.raises(DamagedEntryError):
            open_entry(path, KEY)
        content[position] ^= 1 << position % 8
    path.write_bytes(content)
    assert open_entry(path, KEY).model == MODEL


def test_a_missing_end_or_a_longer_one_is_found(path: Path) -> None:
    content = path.read_bytes()
    for length in (0, 1, 47, 48, 100, *range(0, len(content), 1997), len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(DamagedEntryError):
            open_entry(path, KEY)
    path.write_bytes(content + b"\0")
    with pytest.raises(DamagedEntryError):
        open_entry(path, KEY)


@pytest.mark.parametrize("start", [b"", b"no header\n", b"<?xml?><something/>\n"])
def test_only_what_openvino_wrote_is_sealed(tmp_path: Path, start: bytes) -> None:
    (tmp_path / "other").write_bytes(start + b"x" * 10_000)
    with pytest.raises(DamagedEntryError):
        seal(tmp_path / "other", KEY, DESCRIPTION)


@pytest.mark.parametrize("nbytes", [0, 1, 4095, 4096, 4097, 50_000])
def test_checksums(nbytes: int) -> None:
    content = bytearray(np.random.default_rng(nbytes).bytes(nbytes))
    found = checksum(memoryview(content))
    assert checksum(memoryview(bytes(content))) == found
    assert checksum(memoryview(content + b"\0")) != found
    if nbytes >= 50_000:  # blocks that changed places
        assert checksum(memoryview(content[4096:8192] + content[:4096] + content[8192:])) != found


@pytest.mark.parametrize("nbytes", [4096, 4096 * 7 + 24, (1 << 20) * 2 + 4096 + 40])
def test_words_that_changed_places_are_found(nbytes: int) -> None:
    rng = np.random.default_rng(nbytes)
    words = rng.integers(0, 2**64, nbytes // 8, np.uint64)
    found = checksum(memoryview(words.tobytes()))
    last = len(words) - 1
    pairs = [(0, 1), (1, 511), (0, last), (last - 1, last), *rng.integers(0, last, (50, 2))]
    if last > 512:
        pairs += [(3, 515), (3, 516), (511, 512)]
    for first, second in pairs:
        if words[first] != words[second]:
            words[[first, second]] = words[[second, first]]
            assert checksum(memoryview(words.tobytes())) != found, (first, second)
            words[[first, second]] = words[[second, first]]
    assert checksum(memoryview(words.tobytes())) == found


@pytest.mark.parametrize("kind", ["zeroed", "repeated", "rotated", "reversed", "cancelling"])
@pytest.mark.parametrize("page", [0, 255, 256, 511])
def test_damaged_pages_are_found(kind: str, page: int) -> None:
    """Damage as disks do it. ``cancelling`` keeps the sum of the words as it is."""
    pages = np.random.default_rng(page).integers(0, 2**64, (512, 512), np.uint64)
    found = checksum(memoryview(pages.tobytes()))
    row = pages[page]
    if kind == "zeroed":
        row[:] = 0
    elif kind == "repeated":
        row[:] = pages[(page + 1) % 512]
    elif kind == "rotated":
        row[:] = np.roll(row, 8)
    elif kind == "reversed":
        row[:] = row[::-1].copy()
    else:
        row[[5, 6]] += np.array([1, 2**64 - 1], np.uint64)
    assert checksum(memoryview(pages.tobytes())) != found
