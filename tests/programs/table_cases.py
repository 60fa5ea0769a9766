"""Table libraries, dataset libraries and their locks on a folder. Usage: table_cases.py FOLDER"""
import multiprocessing
import os

import datasets
import deltalake
import filelock
import huggingface_hub
import lance
import numpy
import pandas
import pyarrow
import pyarrow.dataset
import pyarrow.parquet
from cases import case, run

FRAME = pandas.DataFrame({"id": range(50_000), "text": [f"row {i}" for i in range(50_000)], "label": [i % 7 for i in range(50_000)]})


@case
def pandas_parquet_csv_and_json(folder):
    FRAME.to_parquet(folder + "/t.parquet")
    FRAME.to_csv(folder + "/t.csv", index=False)
    FRAME.to_json(folder + "/t.ndjson", orient="records", lines=True)
    for back in (pandas.read_parquet(folder + "/t.parquet"), pandas.read_csv(folder + "/t.csv"),
                 pandas.read_json(folder + "/t.ndjson", lines=True)):
        assert back.values.tolist() == FRAME.values.tolist()
    FRAME.head(10).to_parquet(folder + "/t.parquet")
    assert len(pandas.read_parquet(folder + "/t.parquet")) == 10
    return f" (pandas {pandas.__version__})"


@case
def pyarrow_partitions_memory_map_and_append(folder):
    table = pyarrow.Table.from_pandas(FRAME)
    pyarrow.dataset.write_dataset(table, folder + "/parts", format="parquet", partitioning=["label"])
    assert pyarrow.dataset.dataset(folder + "/parts", partitioning=["label"]).count_rows() == 50_000
    with pyarrow.OSFile(folder + "/t.arrow", "wb") as sink, pyarrow.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    with pyarrow.memory_map(folder + "/t.arrow") as source:
        assert pyarrow.ipc.open_file(source).read_all().equals(table)
    return f" (pyarrow {pyarrow.__version__})"


@case
def numpy_save_and_memmap(folder):
    numpy.save(folder + "/a.npy", numpy.arange(100_000))
    mapped = numpy.load(folder + "/a.npy", mmap_mode="r+")
    mapped[::2] = 0
    mapped.flush()
    assert numpy.load(folder + "/a.npy").sum() == numpy.arange(1, 100_000, 2).sum()


@case
def datasets_cache_map_and_save(folder):
    FRAME.to_csv(folder + "/t.csv", index=False)
    data = datasets.load_dataset("csv", data_files=folder + "/t.csv", cache_dir=folder + "/cache", split="train")
    data = data.map(lambda row: {"length": len(row["text"])}, num_proc=2)
    data.save_to_disk(folder + "/saved")
    back = datasets.load_from_disk(folder + "/saved")
    assert back["length"][:3] == [5, 5, 5] and len(back) == 50_000
    return f" (datasets {datasets.__version__})"


@case
def huggingface_hub_cache_with_links(folder):
    """What hf_hub_download leaves: blobs, relative links to them, and a lock beside."""
    blob, snapshot = folder + "/hub/blobs/abc", folder + "/hub/snapshots/main"
    os.makedirs(folder + "/hub/blobs")
    os.makedirs(snapshot)
    with huggingface_hub.utils.WeakFileLock(folder + "/hub/abc.lock"):
        with open(blob + ".incomplete", "wb") as file:
            file.write(b"weights" * 1000)
        os.replace(blob + ".incomplete", blob)
        huggingface_hub.file_download._create_symlink(blob, snapshot + "/model.bin", new_blob=False)
    with open(snapshot + "/model.bin", "rb") as file:
        assert file.read() == b"weights" * 1000
    return f" (huggingface_hub {huggingface_hub.__version__})"


def add_one(path):
    for _ in range(50):
        with filelock.FileLock(path + ".lock"):
            with open(path) as file:
                number = int(file.read())
            with open(path, "w") as file:
                file.write(str(number + 1))


@case
def filelock_between_processes(folder):
    with open(folder + "/number", "w") as file:
        file.write("0")
    with multiprocessing.get_context("fork").Pool(4) as pool:
        pool.map(add_one, [folder + "/number"] * 4, chunksize=1)
    with open(folder + "/number") as file:
        assert file.read() == "200"
    return f" (filelock {filelock.__version__})"


def append_to_delta(folder):
    deltalake.write_deltalake(folder, pyarrow.table({"x": [os.getpid()]}), mode="append")


@case
def deltalake_versions_and_writers_at_once(folder):
    deltalake.write_deltalake(folder, pyarrow.table({"x": [0]}))
    writers = [multiprocessing.get_context("spawn").Process(target=append_to_delta, args=(folder,)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    table = deltalake.DeltaTable(folder)
    assert table.version() == 4 and table.to_pyarrow_table().num_rows == 5, table.history()
    table.delete("x = 0")
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert deltalake.DeltaTable(folder).to_pyarrow_table().num_rows == 4
    return f" (deltalake {deltalake.__version__})"


@case
def lance_append_index_and_versions(folder):
    table = pyarrow.table({"id": list(range(1000)), "vector": pyarrow.FixedSizeListArray.from_arrays(
        pyarrow.array(numpy.random.rand(8000).astype("float32")), 8)})
    data = lance.write_dataset(table, folder + "/t.lance")
    data = lance.write_dataset(table, folder + "/t.lance", mode="append")
    assert data.count_rows() == 2000 and data.version == 2
    data.delete("id >= 500")
    data.create_scalar_index("id", "BTREE")
    assert lance.dataset(folder + "/t.lance").to_table(filter="id = 7").num_rows == 2
    data.optimize.compact_files()
    return f" (lance {lance.__version__})"


if __name__ == "__main__":
    run()
