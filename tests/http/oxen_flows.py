"""Drives the stock `oxenai` package against a running `stagefs serve`, one flow per call that its users make.

Usage: python oxen_flows.py HOST:PORT [MOUNTED_FOLDER NAMESPACE/REPO WORKSPACE_NAME SECONDS]

Prints one `ok - …` or `not ok - …` line per flow. With a mounted folder only the flows that look at both sides
run: the folder shows the workspace of the given name, and what the client does is there within SECONDS (0 where
one process serves both).
"""

import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from importlib.metadata import version
from pathlib import Path

import oxen
from oxen import OxenFS, RemoteRepo, Workspace

HOST = sys.argv[1]
VERSION = version("oxenai")
OLD = VERSION.startswith("0.50.")
MIB = 1 << 20
FLOWS = []
SCRATCH = Path(tempfile.mkdtemp(prefix="stagefs-test-flows-"))
os.chdir(SCRATCH)


def flow(function):
    FLOWS.append(function)
    return function


def new_repo(name, empty=False):
    repo = RemoteRepo(f"ox/{name}-{random.getrandbits(48):x}", host=HOST, scheme="http")
    assert not repo.exists()
    repo.create(empty=empty)
    return RemoteRepo(repo.identifier, host=HOST, scheme="http")


def local(path, content):
    path = SCRATCH / path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def names(entries):
    return sorted(entry.filename for entry in entries)


def added(workspace, path=""):
    return sorted(workspace.status(path).added_files())


def fails(call, *fragments):
    try:
        call()
    except Exception as error:  # Clients raise several kinds.
        text = str(error)
        for fragment in fragments:
            assert fragment in text, f"{fragment!r} is not in {text!r}"
        return text
    raise AssertionError("it succeeded")


def download(repo, path, revision=None):
    target = str(SCRATCH / f"download-{random.getrandbits(48):x}")
    repo.download(path, target, revision) if revision else repo.download(path, target)
    return Path(target).read_bytes()


@flow
def repository_create_exists_delete():
    repo = new_repo("life")
    assert repo.exists()
    fails(lambda: RemoteRepo(repo.identifier, host=HOST, scheme="http").create(), "exists")
    assert names(repo.ls().entries) == ["README.md"]
    repo.delete()
    assert not RemoteRepo(repo.identifier, host=HOST, scheme="http").exists()
    fails(lambda: RemoteRepo("ox/bad name", host=HOST, scheme="http").create(), "")


@flow
def repository_create_empty():
    repo = new_repo("empty", empty=True)
    assert repo.exists()
    workspace = Workspace(repo, "main")
    workspace.add(local("first.txt", "first"))
    workspace.commit("the first file")
    assert names(repo.ls().entries) == ["first.txt"]


@flow
def branches():
    repo = new_repo("branches")
    assert [branch.name for branch in repo.branches()] == ["main"]
    repo.create_checkout_branch("feature/one")
    assert repo.branch_exists("feature/one") and repo.revision == "feature/one"
    assert repo.get_branch("feature/one").commit_id == repo.get_branch("main").commit_id
    workspace = Workspace(repo, "feature/one")
    workspace.add(local("branch.txt", "on the branch"))
    workspace.commit("on the branch")
    assert repo.file_exists("branch.txt", "feature/one")
    assert not repo.file_exists("branch.txt", "main")
    assert names(repo.ls().entries) == ["README.md", "branch.txt"]
    repo.checkout("main")
    repo.delete_branch("feature/one")
    assert not repo.branch_exists("feature/one")
    fails(lambda: repo.get_branch("nowhere"), "")


@flow
def log_and_history():
    repo = new_repo("log")
    assert len(repo.log()) == 1
    for number in range(12):
        workspace = Workspace(repo, "main")
        workspace.add(local(f"log/{number}.txt", f"{number}"), "log")
        commit = workspace.commit(f"number {number}")
    log = repo.log(page_size=100)
    assert len(log) == 13 and log[0].id == commit.id and log[0].message == "number 11"
    assert log[0].author == "Ann" and log[0].email == "ann@example.org"
    assert log[0].parent_ids == [log[1].id]
    assert [entry.message for entry in repo.log(page_num=2, page_size=5)] == [f"number {n}" for n in (6, 5, 4, 3, 2)]
    history = repo.log(path="log/3.txt") if not OLD else None
    if history is not None:
        assert [entry.message for entry in history] == ["number 3"]
    assert repo.checkout(log[1].id) is not None or True
    assert not repo.file_exists("log/11.txt", log[1].id)


@flow
def ls_and_scan():
    repo = new_repo("ls")
    workspace = Workspace(repo, "main")
    folder = SCRATCH / "many"
    for number in range(25):
        local(f"many/{number:03}.txt", f"content {number}")
    workspace.add(str(folder), "data/many")
    workspace.add(local("top.csv", "a,b\n1,2\n"))
    workspace.commit("many")
    root = repo.ls()
    assert [entry.filename for entry in root.entries] == ["data", "README.md", "top.csv"]
    assert root.entries[0].is_dir and not root.entries[1].is_dir
    assert root.entries[2].data_type == "tabular" and root.entries[2].size == 8
    page = repo.ls("data/many", page_num=2, page_size=10)
    assert names(page.entries) == [f"{n:03}.txt" for n in range(10, 20)]
    assert page.total_pages == 3 and page.total_entries == 25
    assert names(repo.scan("data/many", page_size=7)) == [f"{n:03}.txt" for n in range(25)]
    fails(lambda: repo.ls("nowhere"), "Could not find path")


@flow
def metadata_exists_and_changes():
    repo = new_repo("meta")
    path = local("meta.txt", "hello")
    repo.upload(path, "upload", dst_dir="deep/er")
    entry = repo.metadata("deep/er/meta.txt")
    assert entry.hash == "b5e9c1ad071b3e7fc779cfaa5e523818" and entry.size == 5
    assert entry.mime_type == "text/plain" and not entry.is_dir
    assert repo.metadata("deep").is_dir
    assert repo.metadata("nowhere") is None
    assert repo.file_exists("deep/er/meta.txt") and not repo.file_exists("meta.txt")
    assert not repo.file_has_changes(path, "deep/er/meta.txt")
    local("meta.txt", "edited")
    assert repo.file_has_changes(path, "deep/er/meta.txt")
    assert repo.file_has_changes(path, "nowhere")


@flow
def get_file_and_download():
    repo = new_repo("download")
    small, big = b"small \x00 file", random.Random(1).randbytes(25 * MIB + 17)
    workspace = Workspace(repo, "main")
    workspace.add(local("small.bin", small), "files")
    workspace.add(local("big.bin", big), "files")
    workspace.add(local("empty.bin", b""), "files")
    commit = workspace.commit("files")
    assert repo.get_file("files/small.bin") == small
    assert download(repo, "files/small.bin") == small
    assert download(repo, "files/big.bin") == big
    assert download(repo, "files/empty.bin") == b""
    assert download(repo, "files/small.bin", commit.id) == small
    fails(lambda: repo.get_file("files/none.bin"), "404" if OLD else "")


@flow
def download_zip():
    import zipfile

    repo = new_repo("zip")
    repo.upload(local("z.txt", "zip"), "zip", dst_dir="a/b")
    target = str(SCRATCH / "out.zip")
    repo.download_zip("a", target)
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None and archive.read("b/z.txt") == b"zip"


@flow
def upload_and_delete_file():
    repo = new_repo("upload")
    repo.upload(local("u.txt", "one"), "first upload", dst_dir="dir")
    repo.upload(local("u.txt", "two"), "second upload", dst_dir="dir")
    assert repo.get_file("dir/u.txt") == b"two"
    assert [commit.message for commit in repo.log()][:2] == ["second upload", "first upload"]
    fails(lambda: repo.upload(local("u.txt", "two"), "nothing new", dst_dir="dir"), "No changes to commit")
    repo.upload(local("u.txt", "named"), "with a name", file_name="other.txt")
    assert repo.get_file("other.txt") == b"named"
    repo.delete_file("dir/u.txt", "remove it")
    assert not repo.file_exists("dir/u.txt") and repo.log()[0].message == "remove it"


@flow
def workspace_create_list_get_delete_clear():
    repo = new_repo("workspaces")
    plain = Workspace(repo, "main")
    assert plain.id.startswith("workspace-") or len(plain.id) >= 16
    named = Workspace(repo, "main", workspace_name="my name")
    again = Workspace(repo, "main", workspace_name="my name")
    assert again.id == named.id and again.name == "my name"
    chosen = Workspace(repo, "main", workspace_id="chosen-id")
    assert chosen.id == "chosen-id" and chosen.branch == "main"
    assert chosen.commit_id == repo.get_branch("main").commit_id
    assert len(repo.list_workspaces()) == 3
    plain.delete()
    left = " ".join(map(str, repo.list_workspaces()))  # All that the client shows of them.
    assert plain.id not in left and named.id in left and "chosen-id" in left and "'my name'" in left
    fails(plain.delete, "Workspace not found")
    named.delete(), chosen.delete()
    assert repo.list_workspaces() == []
    kept = repo.create_workspace(workspace_name="kept")
    assert repo.create_workspace(workspace_name="kept").id == kept.id
    repo.delete_workspace()
    assert repo.list_workspaces() == []


@flow
def workspace_add_one_and_status():
    repo = new_repo("add")
    workspace = Workspace(repo, "main")
    assert added(workspace) == [] and workspace.status().is_clean()
    workspace.add(local("1.jpg", "jpeg"), "a-folder")
    assert added(workspace) == ["a-folder/1.jpg"]
    assert added(workspace, "a-folder") == ["a-folder/1.jpg"] and added(workspace, "other") == []
    workspace.add(Path(local("ünï çødé.txt", "unicode")), "other folder")
    assert added(workspace) == ["a-folder/1.jpg", "other folder/ünï çødé.txt"]
    fails(lambda: workspace.add("no/such/file"), "")


@flow
def workspace_add_folder_and_many():
    repo = new_repo("add-many")
    workspace = Workspace(repo, "main")
    folder = SCRATCH / "pictures"
    for number in range(9):
        local(f"pictures/{number}.jpg", f"picture {number}")
    workspace.add(str(folder), "images")
    assert len(added(workspace)) == 9
    workspace.add([local("x.txt", "x"), local("y.txt", "y"), str(folder)], "mixed")
    assert len(added(workspace, "mixed")) == 11
    assert workspace.commit("many").id


@flow
def workspace_add_files_keeps_paths():
    repo = new_repo("add-files")
    workspace = Workspace(repo, "main")
    base = SCRATCH / "CelebA"
    paths = [local(f"CelebA/images/{number}.jpg", f"celeb {number}") for number in range(3)]
    workspace.add_files(base, paths)
    assert added(workspace) == [f"images/{number}.jpg" for number in range(3)]
    workspace.add_files(base, ["images/0.jpg"])
    fails(lambda: workspace.add_files(base, [local("outside.txt", "x")]), "")
    assert len(added(workspace)) == 3


@flow
def workspace_add_large():
    repo = new_repo("large")
    workspace = Workspace(repo, "main")
    big = random.Random(2).randbytes(31 * MIB)
    path = local("large.bin", big)
    workspace.add(path, "large")
    workspace.add(path, "again")  # The content is there: nothing is sent.
    assert added(workspace) == ["again/large.bin", "large/large.bin"]
    workspace.commit("large")
    assert download(repo, "large/large.bin") == big
    assert download(repo, "again/large.bin") == big


@flow
def workspace_add_bytes():
    repo = new_repo("bytes")
    workspace = Workspace(repo, "main")
    workspace.add_bytes("some/where/name.bin", b"from memory", "folder")
    workspace.add_bytes("root.bin", b"at the root")
    assert added(workspace) == ["folder/name.bin", "root.bin"]
    workspace.commit("bytes")
    assert repo.get_file("folder/name.bin") == b"from memory"


@flow
def workspace_rm_and_unstage():
    repo = new_repo("rm")
    workspace = Workspace(repo, "main")
    for name in ("a.txt", "b.txt", "c.csv"):
        workspace.add(local(name, name))
    workspace.rm("a.txt")
    assert added(workspace) == ["b.txt", "c.csv"]
    if not OLD:
        workspace.unstage("b.txt")
        workspace.unstage("c.csv")
        assert added(workspace) == []
        fails(lambda: workspace.unstage("b.txt"), "resource_not_found")


@flow
def workspace_status_pages():
    repo = new_repo("pages")
    workspace = Workspace(repo, "main")
    folder = SCRATCH / "pages"
    for number in range(230):
        local(f"pages/{number:03}.txt", f"page {number}")
    workspace.add(str(folder), "pages")
    assert len(added(workspace)) in (100, 230)  # How many pages the client asks for is its own affair.
    repo.upload(local("changed.txt", "1"), "base")
    other = Workspace(repo, "main")
    other.add(local("changed.txt", "2"))
    status = other.status()
    changed = status.added_files() if OLD else status.modified_files()
    assert list(changed) == ["changed.txt"]


@flow
def workspace_commit():
    repo = new_repo("commit")
    workspace = Workspace(repo, "main")
    fails(lambda: workspace.commit("nothing"), "No changes to commit")
    assert len(repo.log()) == 1
    workspace.add(local("c.txt", "c"))
    commit = workspace.commit("one file")
    assert commit.message == "one file" and commit.author == "Ann" and len(repo.log()) == 2
    assert repo.get_branch("main").commit_id == commit.id
    assert repo.list_workspaces() == []
    for round_number in range(2):
        repo.add(local(f"again-{round_number}.txt", "x"))
        assert len(repo.list_workspaces()) == 1
        repo.commit(f"round {round_number}")
        assert repo.list_workspaces() == []
    assert len(repo.log()) == 4


@flow
def workspace_commit_to_another_branch():
    repo = new_repo("other-branch")
    repo.create_branch("side")
    workspace = Workspace(repo, "main")
    workspace.add(local("side.txt", "side"))
    workspace.commit("to the side", "side")
    assert repo.file_exists("side.txt", "side") and not repo.file_exists("side.txt", "main")


@flow
def named_workspace_rounds():
    repo = new_repo("named")
    workspace = Workspace(repo, "main", workspace_name="rounds")
    for number in range(3):
        workspace.add(local("round.txt", f"round {number}"))
        workspace.commit(f"round {number}")
        assert len(repo.list_workspaces()) == 1 and "name='rounds'" in str(repo.list_workspaces()[0])
        assert workspace.status().is_clean()
    assert repo.get_file("round.txt") == b"round 2"
    assert [commit.message for commit in repo.log()][:3] == ["round 2", "round 1", "round 0"]
    workspace.delete()
    assert repo.list_workspaces() == []


@flow
def commit_conflict_and_replay():
    repo = new_repo("conflict")
    repo.upload(local("shared.txt", "base"), "base")
    one, two, three = (Workspace(repo, "main") for _ in range(3))
    one.add(local("shared.txt", "one"))
    two.add(local("shared.txt", "two"))
    three.add(local("other.txt", "three"))
    one.commit("one")
    fails(lambda: two.commit("two"), "behind")
    assert added(two) == ["shared.txt"] if OLD else list(two.status().modified_files()) == ["shared.txt"]
    three.commit("three")
    assert repo.get_file("shared.txt") == b"one" and repo.get_file("other.txt") == b"three"


@flow
def merge_and_mergeability():
    repo = new_repo("merge")
    repo.create_branch("side")
    repo.upload(local("side.txt", "side"), "on side", branch="side")
    repo.upload(local("main.txt", "main"), "on main", branch="main")
    able = repo.mergeable("main", "side")
    assert able.is_mergeable and [commit.message for commit in able.commits] == ["on side"]
    repo.merge("main", "side")
    assert repo.file_exists("side.txt", "main") and repo.file_exists("main.txt", "main")
    assert len(repo.log(page_size=50)[0].parent_ids) == 2
    repo.upload(local("main.txt", "ours"), "ours", branch="main")
    repo.upload(local("main.txt", "theirs"), "theirs", branch="side")
    able = repo.mergeable("main", "side")
    assert not able.is_mergeable
    fails(lambda: repo.merge("main", "side"), "onflict")
    assert repo.get_file("main.txt") == b"ours"


@flow
def diff_of_a_file():
    repo = new_repo("diff")
    repo.upload(local("notes.txt", "one\ntwo\nthree\n"), "first", branch="main")
    repo.create_branch("feature")
    repo.upload(local("notes.txt", "one\n2\nthree\n"), "second", branch="feature")
    lines = repo.diff("main", "feature", "notes.txt").lines
    assert [line.value for line in lines] == ["  one", "- two", "+ 2", "  three", "  "], lines
    fails(lambda: repo.diff("main", "feature", "none.txt"), "none.txt")


@flow
def fsspec_read_and_write():
    repo = new_repo("fsspec")
    fs = OxenFS(*repo.identifier.split("/"), host=HOST, scheme="http")
    with fs.open("data/new dir/test.txt", mode="wb", commit_message="through fsspec") as file:
        file.write("Hello, world!")
    assert repo.log()[0].message == "through fsspec"
    with fs.open("data/new dir/test.txt") as file:
        assert file.read() == b"Hello, world!"
    assert fs.exists("data/new dir/test.txt") and not fs.exists("data/none.txt")
    assert fs.isdir("data") and fs.isfile("data/new dir/test.txt")
    assert fs.ls("data", detail=False)
    import fsspec
    import pandas

    fsspec.register_implementation("oxen", OxenFS, clobber=True)
    url = f"oxen://{repo.identifier.replace('/', ':')}@main/data/table"
    options = {"host": HOST, "scheme": "http"}
    frame = pandas.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})
    frame.to_csv(url + ".csv", index=False, storage_options=options)
    assert pandas.read_csv(url + ".csv", storage_options=options).equals(frame)
    frame.to_parquet(url + ".parquet", storage_options=options)
    assert pandas.read_parquet(url + ".parquet", storage_options=options).equals(frame)


@flow
def what_is_not_served_says_so():
    repo = new_repo("unserved")
    repo.upload(local("t.txt", "text"), "text", dst_dir="folder")
    text = fails(lambda: repo.download("folder", str(SCRATCH / "folder")))
    assert "Not served by stagefs" in text, text


def both_sides(mountpoint, repo_name, workspace_name, seconds):
    repo = RemoteRepo(repo_name, host=HOST, scheme="http")
    workspace = Workspace(repo, "main", workspace_name=workspace_name)
    folder = Path(mountpoint)

    def shows(path, content):
        until = time.monotonic() + float(seconds)
        while True:
            try:
                found = (folder / path).read_bytes()
            except OSError as error:
                found = None if isinstance(error, FileNotFoundError) else error
            if found == content or time.monotonic() >= until:
                assert found == content, f"{path}: {found[:100] if isinstance(found, bytes) else found!r}"
                return
            time.sleep(0.02)

    def client_to_folder():
        workspace.add(local("client.txt", "from the client"), "from/client")
        shows("from/client/client.txt", b"from the client")
        big = random.Random(3).randbytes(12 * MIB)
        workspace.add(local("big.bin", big), "from/client")
        shows("from/client/big.bin", big)

    def folder_to_client():
        (folder / "from/folder").mkdir(parents=True)
        (folder / "from/folder/dropped.txt").write_text("from the folder")
        assert added(workspace, "from/folder") == ["from/folder/dropped.txt"]
        workspace.rm("from/folder/dropped.txt")
        shows("from/folder/dropped.txt", None)

    def a_change_of_the_same_file_on_both_sides():
        for number in range(5):
            workspace.add(local("turn.txt", f"client {number}"))
            shows("turn.txt", f"client {number}".encode())
            (folder / "turn.txt").write_text(f"folder {number}")
            assert added(workspace).count("turn.txt") == 1
        commit = workspace.commit("both sides")
        assert repo.get_file("turn.txt", commit.id) == b"folder 4"
        shows("turn.txt", b"folder 4")

    return [client_to_folder, folder_to_client, a_change_of_the_same_file_on_both_sides]


def main():
    flows = both_sides(*sys.argv[2:6]) if len(sys.argv) > 2 else FLOWS
    for run in flows:
        what = f"oxenai {VERSION}: {run.__name__.replace('_', ' ')}"
        try:
            run()
            print(f"ok - {what}", flush=True)
        except BaseException:
            print(f"not ok - {what}", flush=True)
            print("  " + traceback.format_exc().replace("\n", "\n  "), flush=True)
    os.chdir("/")
    shutil.rmtree(SCRATCH)


main()
