"""`recto train`: the built-in models, from text and PDFs to weights."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from recto.console import err, out, reported

app = typer.Typer(help="Train the built-in models.", no_args_is_help=True)

Config = Annotated[
    Path, typer.Argument(help="A TOML file such as those in training/configs.", show_default=False)
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")]


@app.command()
def encoder(config: Config, resume: Resume = False) -> None:
    """Train the visual bi-encoder."""
    with reported():
        from training.encoder import train_encoder

        out.print(f"written to {train_encoder(config, resume=resume, progress=_tell)}", soft_wrap=True)


@app.command()
def reranker(config: Config, resume: Resume = False) -> None:
    """Train the cross-encoder on the encoder's own candidates."""
    with reported():
        from training.reranker import train_reranker

        out.print(f"written to {train_reranker(config, resume=resume, progress=_tell)}", soft_wrap=True)


@app.command()
def text(config: Config, resume: Resume = False) -> None:
    """Train the text tower."""
    with reported():
        from training.text_tower import train_text_tower

        out.print(f"written to {train_text_tower(config, resume=resume, progress=_tell)}", soft_wrap=True)


def _tell(step: Any) -> None:
    if isinstance(step, str):
        err.print(step, highlight=False, soft_wrap=True)
        return
    fields = asdict(step)
    shown = (
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in fields.items()
    )
    err.print("  ".join(shown), highlight=False, soft_wrap=True)
