"""Tables of light as files: HDF5, every array with its SHA-256."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from picasssso._core.files import atomic_write, open_hdf5
from picasssso.exceptions import FileFormatError
from picasssso.mocks.light import LightTable
from picasssso.pairs.schema import checksum


def write_light_table(path: Path, table: LightTable) -> None:
    """Write a table of light."""
    import h5py

    with atomic_write(path, overwrite=True) as temporary, h5py.File(temporary, "w") as file:
        for name, value in table.to_dict().items():
            if isinstance(value, np.ndarray):
                data = file.create_dataset(name, data=value, track_times=False)
                data.attrs["sha256"] = checksum(value)
            else:
                file.attrs[name] = value if isinstance(value, str) else list(value)


def read_light_table(path: Path) -> LightTable:
    """Read a table of light."""
    with open_hdf5(path) as file:
        try:
            arrays = {name: data[()] for name, data in file.items()}
            sums = {name: str(data.attrs["sha256"]) for name, data in file.items()}
            bands = tuple(str(band) for band in file.attrs["bands"])
            table = LightTable(bands=bands, grid_hash=str(file.attrs["grid_hash"]), **arrays)
        except (KeyError, TypeError, AttributeError) as error:
            raise FileFormatError(f"{path} is no table of light: {error}.") from error
    wrong = [name for name, values in arrays.items() if checksum(values) != sums[name]]
    if wrong:
        raise FileFormatError(f"{path} is damaged: checksums of {', '.join(wrong)} do not fit.")
    return table
