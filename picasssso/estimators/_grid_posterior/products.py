"""Matrix products that keep single precision whatever the process's settings."""

from __future__ import annotations

import torch


def multiply(
    left: torch.Tensor, right: torch.Tensor, out: torch.Tensor | None = None
) -> torch.Tensor:
    """Return ``left @ right`` in full precision.

    `torch.set_float32_matmul_precision` may allow TF32 or bfloat16, whose errors would
    change chi2 by several units. It is a setting of the whole process, so it is not
    touched; where it is not the highest, the product is taken in float64.
    """
    if left.dtype == torch.float32 and torch.get_float32_matmul_precision() != "highest":
        product = (left.double() @ right.double()).to(left)
        return product if out is None else out.copy_(product)
    return torch.mm(left, right, out=out) if out is not None else left @ right
