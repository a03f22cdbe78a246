"""What was done to images, step by step, in their own notes: ``meta["preparation"]``, a list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from picasssso.bands import BandImages


def with_step(images: BandImages, step: str, **record: Any) -> BandImages:
    """Return images whose notes hold another step."""
    from picasssso.bands.slots import check_meta

    meta = dict(images.meta)
    done = [*meta.get("preparation", []), {"step": step, **record}]
    return images._derive(meta=check_meta({**meta, "preparation": done}))


def describe_steps(notes: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return the name of each step and its record in words; quality by band is left out."""
    return [(str(step["step"]), _words(step)) for step in notes]


def _words(record: Mapping[str, Any]) -> str:
    parts = []
    for key, value in record.items():
        name = key.replace("_", " ")
        if isinstance(value, Mapping):
            if key in ("files", "target") or any(isinstance(v, Mapping) for v in value.values()):
                continue
            inside = ", ".join(f"{band} {_number(item)}" for band, item in value.items())
            parts.append(f"{name} {inside or 'none'}")
        elif key.startswith("part_of_") and isinstance(value, float):
            parts.append(f"{name.removeprefix('part of ')} {100 * value:.2g} %")
        elif isinstance(value, list):
            parts.append(f"{name} {', '.join(map(str, value)) or 'none'}")
        elif key != "step":
            parts.append(f"{name} {_number(value)}")
    return "; ".join(parts) or "done"


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
