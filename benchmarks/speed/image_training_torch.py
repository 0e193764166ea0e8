"""The PyTorch side of image_training.py, for a Python of its own that has torch and numpy alone."""

import json
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Net(nn.Module):
    """The same stem, blocks, transitions and head as ours; the penalty of its kernels as ours."""

    def __init__(self, fields):
        super().__init__()
        self.depths, self.leak = fields["depths"], fields["effective_depth"]
        before, self.stages, self.entries = 3, nn.ModuleList(), nn.ModuleList()
        for stage, (width, depth) in enumerate(zip(fields["widths"], self.depths, strict=True)):
            size, stride = (3, 2) if stage else (fields["stem_size"], fields["stem_stride"])
            self.entries.append(nn.Conv2d(before, width, size, stride, padding=size // 2))
            self.stages.append(nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth)))
            before = width
        self.pooled = len(self.depths) == 1
        if self.pooled:
            self.last = nn.Conv2d(before, 2 * before, 3, padding=1)
            before *= 2
        self.head = nn.Linear(before, 10)

    def forward(self, x):
        x = (x - 127.5) / 73.9
        for place, (entry, blocks) in enumerate(zip(self.entries, self.stages, strict=True)):
            x = entry(functional.relu(x) if place else x)
            step = 1 / len(blocks)
            for block in blocks:
                x = (1 - step * self.leak) * x + step * block(functional.relu(x))
        x = functional.relu(x)
        if self.pooled:
            x = functional.relu(self.last(functional.avg_pool2d(x, 2)))
        return self.head(x.mean((2, 3)))

    def penalty(self):
        """Sum of squares of the blocks, by their steps, and of stem, transitions and head."""
        inside = sum(block.weight.square().sum() / len(blocks) for blocks in self.stages for block in blocks)
        return inside + sum(layer.weight.square().sum() for layer in (*self.entries, self.head))


def augmented(images, fields):
    """Crops of the padded images, mirrored at random, with a square cut out."""
    count, _, height, width = images.shape
    margin, side = fields["crop_padding"], fields["cutout"]
    padded = functional.pad(images, (margin,) * 4, mode="reflect")
    top, left = (torch.randint(0, 2 * margin + 1, (count, 1)) for _ in range(2))
    rows, columns = top + torch.arange(height), left + torch.arange(width)
    mirrored = torch.rand(count, 1) < fields["flip"]
    columns = torch.where(mirrored, columns.flip(1), columns)
    batch = torch.arange(count)[:, None, None]
    images = padded.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]]
    places = [
        torch.arange(length)[None] - torch.randint(0, length, (count, 1)) + side // 2 for length in (height, width)
    ]
    inside = [(place >= 0) & (place < side) for place in places]
    images[inside[0][:, :, None] & inside[1][:, None, :]] = 127.5
    return images.permute(0, 3, 1, 2)  # channels last, as strides say


def main(mode, fields):
    """Answer each line, a number of steps, once they are taken."""
    torch.manual_seed(0)
    torch.set_num_threads(fields["threads"])
    random = np.random.default_rng(0)
    x = torch.from_numpy(random.integers(0, 256, (fields["images"], 32, 32, 3)).astype(np.uint8)).permute(0, 3, 1, 2)
    y = torch.from_numpy(random.integers(0, 10, fields["images"]))
    net = Net(fields).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(net.parameters(), fields["rate"], foreach=True)

    def objective(images, labels):
        return functional.cross_entropy(net(images), labels) + fields["decay"] / 2 * net.penalty()

    loss_of = torch.compile(objective) if mode == "compile" else objective
    for line in sys.stdin:
        for _ in range(int(line)):
            rows = torch.randint(0, len(x), (fields["batch"],))
            images = augmented(x[rows].float(), fields)
            optimizer.zero_grad(set_to_none=True)
            loss_of(images, y[rows]).backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
        print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
