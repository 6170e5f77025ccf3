"""Where examples come from: a dataset folder of this toolkit, or one in the layout of a public collection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from synth.core.errors import InputError
from synth.core.strict import Strict
from synth.diffusion.training.folder import DatasetExamples

if TYPE_CHECKING:
    from synth.diffusion.training.examples import Examples

__all__ = ["DataSource"]


class DataSource(Strict):
    """One folder.

    Attributes:
        path: The folder.
        tables: Label tables of a public collection, see `open_layout`; none where the folder is a dataset of ours.
        where: Column → the cell, or the cells, that are wanted.
        words: Column of prompts or labels; "" as found.
        fit: How an oblong radiograph becomes a square.
        allow_missing: Leave out radiographs whose files are not there.
    """

    path: str = Field(min_length=1)
    tables: tuple[str, ...] = ()
    where: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)
    words: str = ""
    fit: Literal["pad", "crop"] = "pad"
    allow_missing: bool = False

    def placed(self, folder: Path) -> DataSource:
        """With its path relative to a folder."""
        return self.model_copy(update={"path": str(folder / Path(self.path).expanduser())})

    def open(self) -> Examples:
        """The examples: a folder with dataset.json is one of ours, whatever else it holds.

        Raises:
            InputError: It cannot be read.
        """
        folder = Path(self.path)
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; data is the folder of a dataset")
        plain = self.model_copy(update={"path": ""}) == DataSource.model_construct(path="", where={})
        if plain and (folder / "dataset.json").is_file() and (folder / "images").is_dir():
            return DatasetExamples.open(folder)
        from synth.diffusion.training.layouts.opening import open_layout

        return open_layout(
            folder,
            [Path(table) for table in self.tables],
            where=self.where,
            words=self.words,
            fit=self.fit,
            allow_missing=self.allow_missing,
        )
