import hashlib
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from domain.errors import StoreError
from ingest.images import ImageStore


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path: Path) -> ImageStore:
    return ImageStore.open(tmp_path / "blobs") if request.param == "disk" else ImageStore(MemoryStore())


def test_a_key_is_the_digest_of_the_bytes_and_a_suffix(store):
    digest = hashlib.sha256(b"page").hexdigest()
    assert store.put(b"page", "image/jpeg") == f"{digest[:2]}/{digest}.jpg"


@pytest.mark.parametrize("data", [b"", b"\0", b"page" * 3_000_000])
def test_what_was_put_is_got(data, store):
    key = store.put(data, "image/png")
    assert store.get(key) == data
    assert b"".join(store.stream(key)) == data
    assert store.exists(key)


def test_putting_twice_is_putting_once(store):
    assert store.put(b"a", "image/png") == store.put(b"a", "image/png")
    assert list(store.keys()) == [store.put(b"a", "image/png")]


def test_a_file_is_stored_as_its_bytes_would_be(store, tmp_path):
    path = tmp_path / "original.pdf"
    path.write_bytes(b"%PDF" + b"x" * 9_000_000)
    key = store.put_file(path, "application/pdf")
    assert key == store.put(path.read_bytes(), "application/pdf")
    assert store.put_file(path, "application/pdf") == key
    assert store.get(key) == path.read_bytes()


def test_an_empty_file_is_stored(store, tmp_path):
    path = tmp_path / "empty"
    path.touch()
    assert store.get(store.put_file(path, "application/pdf")) == b""


def test_a_file_that_is_not_there_cannot_be_stored(store, tmp_path):
    with pytest.raises(StoreError, match=r"absent\.pdf"):
        store.put_file(tmp_path / "absent.pdf", "application/pdf")


def test_what_is_deleted_is_gone_and_may_be_deleted_again(store):
    key = store.put(b"a", "image/png")
    store.delete(key)
    store.delete(key)
    assert not store.exists(key)
    assert list(store.keys()) == []
    with pytest.raises(StoreError, match="missing"):
        store.get(key)


def test_a_damaged_blob_is_not_given_out(tmp_path):
    store = ImageStore.open(tmp_path)
    key = store.put(b"page", "image/png")
    (tmp_path / key).write_bytes(b"paqe")
    with pytest.raises(StoreError, match="damaged"):
        store.get(key)
    with pytest.raises(StoreError, match="damaged"):
        list(store.stream(key))


@pytest.mark.parametrize("key", ["", "../secret", "ab/cd", "/etc/passwd", "ab/" + "g" * 64])
def test_what_is_not_a_key_is_refused(key, store):
    with pytest.raises(StoreError, match="not the key"):
        store.get(key)
    with pytest.raises(StoreError, match="not the key"):
        store.delete(key)


def test_files_that_are_not_blobs_are_not_keys(tmp_path):
    store = ImageStore.open(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    assert list(store.keys()) == []


def test_a_url_opens_a_store(tmp_path):
    store = ImageStore.open(tmp_path.as_uri())
    key = store.put(b"a", "image/png")
    assert (tmp_path / key).read_bytes() == b"a"


def test_a_place_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"file/blobs"):
        ImageStore.open(tmp_path / "file" / "blobs")
    with pytest.raises(StoreError, match="nonsense"):
        ImageStore.open("nonsense://bucket")


def test_writers_of_the_same_bytes_do_not_disturb_one_another(tmp_path):
    stores = [ImageStore.open(tmp_path) for _ in range(4)]
    keys: list[str] = []
    data = b"page" * 500_000
    threads = [threading.Thread(target=lambda s=s: keys.append(s.put(data, "image/png"))) for s in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 4
    assert len(set(keys)) == 1
    assert stores[0].get(keys[0]) == data
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / keys[0]]


FULL = """
import resource, sys
from pathlib import Path
from domain.errors import StoreError
from ingest.images import ImageStore
store = ImageStore.open(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # a write beyond it fails as on a full disk
for write in (lambda: store.put(b"x" * 200_000, "image/png"), lambda: store.put_file(Path(sys.argv[2]), "image/png")):
    try:
        write()
    except StoreError as error:
        print(error)
store.put(b"small", "image/png")
print(len(list(store.keys())))
"""


def test_a_full_disk_is_named_and_leaves_no_half_blob(tmp_path):
    large = tmp_path / "large"
    large.write_bytes(b"y" * 200_000)
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "blobs"), str(large)],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    first, second, count = done.stdout.splitlines()
    assert "disk is full" in first
    assert "disk is full" in second
    assert count == "1"
