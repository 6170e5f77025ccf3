from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.metrics.extractors.cache import FeatureCache, default_root

VERSION, KEY = "ab12", "cd34"
VECTOR = np.array([1.5, np.nan, -np.inf, 1e-300, np.pi])


def only_file(cache):
    (path,) = cache.root.rglob("*.feat")
    return path


def test_vectors_come_back_bit_for_bit(tmp_path):
    cache = FeatureCache(tmp_path)
    assert cache.get(VERSION, KEY) is None
    cache.put(VERSION, KEY, VECTOR)
    assert FeatureCache(tmp_path).get(VERSION, KEY).tobytes() == VECTOR.tobytes()
    assert cache.get("ab13", KEY) is None
    assert cache.get(VERSION, "cd35") is None
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [f"{KEY}.feat"]


def test_damaged_and_misplaced_files_are_computed_again(tmp_path):
    cache = FeatureCache(tmp_path)
    cache.put(VERSION, KEY, VECTOR)
    path = only_file(cache)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-3] ^= 1
    for damaged in (whole[:-1], whole[:20], b"", bytes(flipped), whole + b"12345678"):
        path.write_bytes(damaged)
        assert cache.get(VERSION, KEY) is None
        assert not path.exists()
    other = path.with_name("cd35.feat")
    other.write_bytes(whole)
    assert cache.get(VERSION, "cd35") is None


def test_writers_do_not_disturb_each_other(tmp_path):
    vectors = {f"{number:02x}ff": np.full(300, float(number)) for number in range(40)}
    wrong = []

    def work():
        cache = FeatureCache(tmp_path)
        for key, vector in vectors.items():
            cache.put(VERSION, key, vector)
            found = cache.get(VERSION, key)
            if found is None or not np.array_equal(found, vector):
                wrong.append(key)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert not list(tmp_path.rglob("*.part"))


def test_the_longest_unused_are_pruned_first(tmp_path):
    cache = FeatureCache(tmp_path)
    for age, key in enumerate(("aa", "bb", "cc", "dd")):
        cache.put(VERSION, key, VECTOR)
        path = tmp_path / VERSION / key / f"{key}.feat"
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 10_000 * (age + 1)))
    size = cache.size() // 4
    assert cache.get(VERSION, "dd") is not None  # used: the newest now
    assert cache.prune(2 * size) == 2 * size
    assert [cache.get(VERSION, key) is not None for key in ("aa", "bb", "cc", "dd")] == [True, False, False, True]
    small = FeatureCache(tmp_path, max_bytes=size)
    small.put(VERSION, "ee", VECTOR)
    small.close()
    assert cache.size() == size
    cache.prune(0)
    assert cache.size() == 0


def test_a_cache_that_cannot_be_written_only_notes_it(tmp_path):
    (tmp_path / "file").write_text("in the way")
    cache = FeatureCache(tmp_path / "file")
    cache.put(VERSION, KEY, VECTOR)
    cache.put(VERSION, KEY, VECTOR)
    assert cache.get(VERSION, KEY) is None
    assert len(cache.notes) == 1
    assert "computed anew" in cache.notes[0]


def test_keys_cannot_leave_the_folder(tmp_path):
    for bad in ("../x", "", "a/b"):
        with pytest.raises(InputError, match="hexadecimal"):
            FeatureCache(tmp_path).put(VERSION, bad, VECTOR)


def test_where_it_lies(monkeypatch, tmp_path):
    monkeypatch.setenv("SYNTH_CACHE", str(tmp_path))
    assert default_root() == tmp_path / "features"
    monkeypatch.delenv("SYNTH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    assert default_root() == tmp_path / "radsynth" / "features"
    monkeypatch.setattr("sys.platform", "darwin")
    assert default_root() == Path.home() / "Library" / "Caches" / "radsynth" / "features"
