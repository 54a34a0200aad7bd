"""Parameters on disk, by orbax; a restored tree is checked against the model that asks for it."""

import os
import pathlib

import jax
import orbax.checkpoint as ocp

from rnnzoo.errors import UserError
from rnnzoo.model import LanguageModel, Params


def save(path: str | os.PathLike, params: Params) -> None:
    """Writes the parameters to the folder `path`; what was there is replaced once they are whole.

    Raises:
      UserError: the folder cannot be written.
    """
    path = pathlib.Path(path).absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)  # orbax would wait minutes for it
        with ocp.StandardCheckpointer() as checkpointer:
            checkpointer.save(path, params, force=True)
    except OSError as e:
        raise UserError(f"the parameters cannot be saved in {str(path)!r}: {e.strerror}") from e


def restore(path: str | os.PathLike, model: LanguageModel) -> Params:
    """Reads the parameters of `model` from the folder that `save` wrote.

    Raises:
      UserError: there is no checkpoint, or it is another model's: names and shapes that differ.
    """
    path = pathlib.Path(path).absolute()
    wanted = jax.eval_shape(model.init, jax.random.key(0))
    with ocp.StandardCheckpointer() as checkpointer:
        try:
            saved = checkpointer.metadata(path).item_metadata.tree
        except (OSError, ValueError, AttributeError) as e:
            raise UserError(f"{str(path)!r} holds no parameters that can be read") from e
        if differences := _differences(_shapes(saved), _shapes(wanted)):
            raise UserError(
                f"the parameters in {str(path)!r} are not this model's: {differences}: "
                "use the config that they were trained with"
            )
        return checkpointer.restore(path, wanted)


def _shapes(tree) -> dict[str, tuple[int, ...]]:
    """Each parameter's name, as 'gru/U.w', and shape."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {".".join(str(k.key) for k in path): tuple(leaf.shape) for path, leaf in leaves}


def _differences(saved: dict, wanted: dict, most: int = 3) -> str:
    """What differs, in words; the first few."""
    found = [
        f"{name} is {saved.get(name, 'missing')} instead of {wanted.get(name, 'absent')}"
        for name in sorted(saved.keys() | wanted.keys())
        if saved.get(name) != wanted.get(name)
    ]
    rest = [f"and {len(found) - most} more"] if len(found) > most else []
    return ", ".join(found[:most] + rest)
