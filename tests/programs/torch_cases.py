"""PyTorch and torchvision on a folder of pictures. Usage: torch_cases.py FOLDER"""
import os
import random

import PIL.Image
import torch
import torchvision
from cases import case, run


def pictures(folder, classes, count):
    for label in range(classes):
        os.makedirs(f"{folder}/class-{label}")
        for number in range(count):
            picture = PIL.Image.new("RGB", (32, 32), (label * 60, number * 2, random.randrange(256)))
            picture.save(f"{folder}/class-{label}/{number:03}.png")


@case
def torchvision_ImageFolder_with_two_workers(folder):
    pictures(folder, 4, 50)
    data = torchvision.datasets.ImageFolder(folder, torchvision.transforms.ToTensor())
    assert len(data) == 200 and data.classes == [f"class-{label}" for label in range(4)]
    seen = torch.zeros(4)
    for _ in range(2):
        for images, labels in torch.utils.data.DataLoader(data, batch_size=32, shuffle=True, num_workers=2):
            assert images.shape[1:] == (3, 32, 32)
            assert torch.allclose(images[:, 0, 0, 0] * 255, labels * 60.0, atol=0.5)
            seen += torch.bincount(labels, minlength=4)
    assert seen.tolist() == [100] * 4
    return f" (torch {torch.__version__}, torchvision {torchvision.__version__})"


@case
def torch_save_and_load_of_a_checkpoint(folder):
    model = torch.nn.Linear(300, 300)
    for epoch in range(3):  # Over the one before, as training does.
        torch.save({"epoch": epoch, "model": model.state_dict()}, folder + "/new.pt")
        os.replace(folder + "/new.pt", folder + "/checkpoint.pt")
    back = torch.load(folder + "/checkpoint.pt")
    assert back["epoch"] == 2 and torch.equal(back["model"]["weight"], model.weight)
    assert os.listdir(folder) == ["checkpoint.pt"]


@case
def torch_from_a_shared_mapping(folder):
    path = folder + "/weights.bin"
    with open(path, "wb") as file:
        file.truncate(400_000)
    tensor = torch.from_file(path, shared=True, size=100_000, dtype=torch.float32)
    tensor[:] = torch.arange(100_000)
    del tensor
    assert torch.equal(torch.from_file(path, size=100_000), torch.arange(100_000.0))


@case
def PIL_over_a_folder(folder):
    pictures(folder, 1, 20)
    for entry in os.scandir(folder + "/class-0"):
        with PIL.Image.open(entry.path) as picture:
            picture.thumbnail((16, 16))
            picture.save(entry.path)  # In place, over the one that is read.
    sizes = {PIL.Image.open(entry.path).size for entry in os.scandir(folder + "/class-0")}
    assert sizes == {(16, 16)}


run()
