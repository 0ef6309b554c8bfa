"""Writes the reference file of the safetensors tests. Needs PyTorch and safetensors."""

import torch
from safetensors.torch import save_file

x = torch.arange(6, dtype=torch.float32).reshape(2, 3) * 0.5 - 1
save_file(
    {
        "layer.0.weight": x,
        "layer.0.bias": x[0].contiguous().double(),
        "half": x.half(),
        "bfloat": x.bfloat16(),
        "i32": torch.arange(4, dtype=torch.int32) - 2,
        "i64": torch.arange(4, dtype=torch.int64) - 2,
        "u8": torch.arange(3, dtype=torch.uint8),
        "u64": torch.tensor([0, 1, 2], dtype=torch.uint64),
        "bool": torch.tensor([True, False, True]),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 4),
    },
    "torch.safetensors",
    metadata={"format": "pt", "note": "ü <b>"},
)
