"""Files are written whole or not at all."""

import os
import pickle

import pytest

from picasssso._core.before_opening import check_before_opening
from picasssso._core.safe_files import atomic_write, check_output, read_text
from picasssso.exceptions import FileFormatError


def test_the_file_appears_at_the_end(tmp_path):
    target = tmp_path / "a.fits"
    with atomic_write(target) as temporary:
        temporary.write_text("half")
        assert not target.exists()
        assert temporary.parent == tmp_path
        assert temporary.name.endswith("a.fits")
    assert target.read_text() == "half"
    assert list(tmp_path.iterdir()) == [target]


def fail_in_the_middle(target, error):
    with atomic_write(target, overwrite=True) as temporary:
        temporary.write_text("half")
        raise error("in the middle")


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("before", [None, "what stood here"])
def test_a_failure_leaves_what_stood_before(tmp_path, error, before):
    target = tmp_path / "a.txt"
    if before:
        target.write_text(before)
    expected = FileFormatError if error is OSError else error
    with pytest.raises(expected, match="in the middle"):
        fail_in_the_middle(target, error)
    assert [path.read_text() for path in tmp_path.iterdir()] == ([before] if before else [])


def test_nothing_written_is_an_error(tmp_path):
    with pytest.raises(FileFormatError, match="Cannot write"), atomic_write(tmp_path / "a.txt"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path):
    target = tmp_path / "a.txt"
    writing = atomic_write(target)
    writing.__enter__().write_text("mine")
    target.write_text("somebody else's")
    with pytest.raises(FileFormatError, match="exists"):
        writing.__exit__(None, None, None)
    assert target.read_text() == "somebody else's"
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_stays_a_link(tmp_path):
    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    real.write_text("old")
    link.symlink_to(real)
    with atomic_write(link, overwrite=True) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert real.read_text() == "new"


def test_home_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert check_output("~/a.txt") == tmp_path / "a.txt"


def test_permissions_are_the_usual_ones(tmp_path):
    (tmp_path / "plain.txt").write_text("")
    with atomic_write(tmp_path / "a.txt") as temporary:
        temporary.write_text("")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "plain.txt").stat().st_mode


def test_folder_without_permission(tmp_path, monkeypatch):
    # Whoever runs the tests as root may write anywhere, so the question is answered for them.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(FileFormatError, match=r"no permission to write in .*; choose another"):
        check_output(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder, "is a folder; give the name of a file"),
        (lambda folder: folder / "no" / "a.txt", "there is no folder .*no; make it first"),
        (lambda folder: folder / "file" / "a.txt", "there is no folder"),
        (lambda folder: folder / "file", "the file exists; .* overwrite=True"),
    ],
)
def test_targets_that_cannot_be(tmp_path, make, message):
    (tmp_path / "file").write_text("keep")
    with pytest.raises(FileFormatError, match=message), atomic_write(make(tmp_path)):
        pytest.fail("work was begun for nothing")
    assert (tmp_path / "file").read_text() == "keep"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_replaced_file_keeps_its_permissions(tmp_path):
    path = tmp_path / "maps.fits"
    path.write_text("old")
    path.chmod(0o640)
    with atomic_write(path, overwrite=True) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o7777 == 0o640


def test_only_regular_files_are_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, "/dev/null"):
        with pytest.raises(FileFormatError, match="a device or a pipe"):
            check_output(path, overwrite=True)


def test_long_messages_lose_their_middle():
    error = FileFormatError("found " + 5000 * "x" + " do this")
    assert str(error).startswith("found xxx")
    assert str(error).endswith("x do this")
    assert len(str(error)) <= 600
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "bytes", "absent"])
@pytest.mark.skipif(os.name == "nt", reason="needs pipes and devices of Unix")
def test_what_is_no_text_is_refused_before_it_is_read(tmp_path, kind):
    path = tmp_path / "text"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)  # which would be waited for
    elif kind == "device":
        path = "/dev/zero"  # which has no end
    elif kind == "bytes":
        path.write_bytes(b"\xff\xfe")
    with pytest.raises(OSError, match=r"no text|No such file"):
        read_text(path)


def test_a_text_loses_its_byte_order_mark(tmp_path):
    (tmp_path / "text").write_bytes(b"\xef\xbb\xbfn = 3")
    assert read_text(tmp_path / "text") == "n = 3"


@pytest.mark.parametrize("name", ["x" * 300 + ".fits", "a\0b.fits"])
def test_names_that_no_file_has_are_refused(tmp_path, name):
    with pytest.raises(FileFormatError, match="choose another name"):
        check_output(tmp_path / name)


def test_names_as_long_as_a_file_may_have_are_written(tmp_path):
    path = tmp_path / ("x" * 245 + ".fits")
    with atomic_write(path) as temporary:
        temporary.write_text("whole")
    assert path.read_text() == "whole"


def test_a_file_that_the_disk_does_not_give_is_told(tmp_path, monkeypatch):
    (tmp_path / "a.fits").write_bytes(bytes(100))

    def fail(*how):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("builtins.open", fail)
    with pytest.raises(FileFormatError, match=r"cannot read .*a\.fits: Input/output error"):
        check_before_opening(tmp_path / "a.fits", "File")
