"""Arrays of weights as rows of blocks, one block for each gate: what any two libraries share.

A layout says of every array which blocks stand in it side by side, and in which order:

    {"weight_ih": "U_ifgo", "weight_hh": "W_ifgo", "bias_ih": "b_ifgo", "bias_hh": "b_ifgo"}

`U_ifgo` is short for `U_i U_f U_g U_o`. Two layouts of the same blocks are a converter, both ways.

- The letter tells a block's shape: `U` is [D, H], other capitals are [H, H], small letters [H], and
  words single numbers.
- A block that stands in several arrays is their sum. It is written to the first of them, and zeros
  to the others.
- `1.2*U_z` is 1.2 times the block.
- `0` and `1` are constants, of shapes [H] and []: what another library has and rnnzoo has not.
- An array whose name ends in `?` is there only where D is not H; else its block is the identity.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from rnnzoo.errors import UserError, did_you_mean

Arrays = Mapping[str, np.ndarray]
CONSTANTS = {"0": 0.0, "1": 1.0}


@dataclasses.dataclass(frozen=True)
class Layout:
    """How blocks are stored.

    Attributes:
      rows: the blocks of each array, by the array's name; weights stand before biases.
      transposed: whether matrices are [gates * H, D], as in torch, rather than [D, gates * H].
      number: the shape of a single number.
    """

    rows: Mapping[str, str]
    transposed: bool = False
    number: tuple[int, ...] = ()

    def read(self, arrays: Arrays) -> dict[str, np.ndarray]:
        """The blocks that the arrays hold, by name. A missing bias is none, which stands for zeros.

        Raises:
          UserError: an array is missing, misshapen, unknown, or not the constant it should be.
        """
        blocks, sizes = {}, {}
        for key, row in self.rows.items():
            array = key.rstrip("?")
            if array in arrays:
                for name, factor, part in self._cut(array, np.asarray(arrays[array]), row, sizes):
                    if name not in CONSTANTS:
                        blocks[name] = blocks.get(name, 0) + part / factor
                    elif np.any(part != CONSTANTS[name]):
                        raise UserError(
                            f"{array!r} should hold [{row}], but has other numbers where {name} "
                            "stands, for which rnnzoo's cell has no weight"
                        )
            elif key.endswith("?") and sizes["D"] == sizes["H"]:
                blocks[row] = np.eye(sizes["H"], dtype=next(iter(blocks.values())).dtype)
            elif "bias" not in array:
                raise UserError(
                    f"there is no {array!r} among the weights: {did_you_mean(array, arrays)}"
                )
        for array in sorted(arrays.keys() - {key.rstrip("?") for key in self.rows}):
            raise UserError(f"there is no counterpart of {array!r}: is it another kind of layer?")
        return blocks

    def write(self, blocks: Arrays) -> dict[str, np.ndarray]:
        """The arrays that hold the blocks, in memory of their own.

        Raises:
          UserError: what the cell takes for the identity, where D is H, is another matrix.
        """
        sizes, left, arrays = {}, dict(blocks), {}
        for name, block in blocks.items():
            sizes |= zip(dimensions(name), block.shape, strict=True)
        for key, row in self.rows.items():
            array = self._join(row, left, sizes, next(iter(blocks.values())).dtype)
            if not key.endswith("?") or sizes["D"] != sizes["H"]:
                arrays[key.rstrip("?")] = np.array(array.T if self.transposed else array, order="C")
            elif np.any(array != np.eye(sizes["H"])):
                raise UserError(f"{row} must be the identity where D = H: the cell has none there")
        return arrays

    def _join(self, row: str, left: dict[str, np.ndarray], sizes: Mapping[str, int], dtype):
        """The blocks of a row side by side; each is taken from those that are left, or is zeros."""
        parts = [
            factor * left.pop(name)
            if name in left
            else np.full([sizes[d] for d in dimensions(row)], CONSTANTS.get(name, 0), dtype)
            for name, factor in parse(row)
        ]
        if dimensions(row):
            return np.concatenate(parts, axis=-1)
        return parts[0] if row in CONSTANTS else np.reshape(parts[0], self.number)

    def _cut(self, name: str, array: np.ndarray, row: str, sizes: dict[str, int]):
        """(name, factor, part) of each block of a row; what D and H are is put into `sizes`."""
        letters, blocks = dimensions(row), parse(row)
        whole = array.T if self.transposed else array
        if not letters and whole.size == 1:
            return [(*blocks[0], whole.reshape(()))]
        shape = (*whole.shape[:-1], whole.shape[-1] // len(blocks)) if whole.ndim else ()
        known = [sizes.setdefault(d, n) for d, n in zip(letters, shape, strict=False)]
        if len(shape) != len(letters) or whole.shape != (*known[:-1], known[-1] * len(blocks)):
            raise UserError(
                f"{name!r} of shape {array.shape} does not hold [{row}] for D = {sizes.get('D')}, "
                f"H = {sizes.get('H')}: is it another kind of layer?"
            )
        parts = np.split(whole, len(blocks), axis=-1)
        return [(*block, part) for block, part in zip(blocks, parts, strict=True)]


def look_up(cell: str, known: Mapping[str, Any], library: str) -> Any:
    """What a library's table has for a cell.

    Raises:
      UserError: it has nothing.
    """
    if cell not in known:
        raise UserError(f"{library} has no counterpart of {cell!r}: {did_you_mean(cell, known)}")
    return known[cell]


def parse(row: str) -> list[tuple[str, float]]:
    """The blocks of a row, each with its factor."""
    blocks = []
    for word in row.split():
        factor, _, name = word.rpartition("*")
        letter, _, gates = name.partition("_")
        names = [f"{letter}_{gate}" for gate in gates] or [name]
        blocks += [(name, float(factor or 1)) for name in names]
    return blocks


def dimensions(row: str) -> str:
    """The dimensions of each block of a row, the same for all of them: 'DH', 'HH', 'H' or none."""
    (name, _), *_ = parse(row)
    letter, _, _ = name.partition("_")
    if name == "1" or len(letter) > 1:
        return ""
    return {"U": "DH"}.get(letter, "HH" if letter.isupper() else "H")
