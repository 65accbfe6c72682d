"""Options of `facesearch train`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from facesearch import limits
from facesearch.cli import completion

Folder = Annotated[Path, typer.Argument(help="Crops, in a folder for each person (see: align).", metavar="FOLDER")]
Out = Annotated[str, typer.Option(help="The new model's name.", metavar="NAME")]
Init = Annotated[
    str | None,
    typer.Option(
        help="Start from this model's weights, such as dlib-resnet.",
        metavar="NAME",
        autocompletion=completion.embedders,
    ),
]
Network = Annotated[
    Literal["resnet", "small", "facenet"] | None,
    typer.Option(
        help="A ResNet of 13 convolutions (the default), MobileFaceNet, or Inception-ResNet-v1: 2.5, 1 and 23 "
        "million weights."
    ),
]
Dim = Annotated[int | None, typer.Option(help="Numbers of an embedding; by default 128.", min=8, max=1024)]
Size = Annotated[
    int | None,
    typer.Option(help="Side of a chip; by default 64, small 112, facenet 160.", metavar="PIXELS", min=48, max=320),
]
Recipe = Annotated[
    Literal["softmax-then-triplet", "triplet"] | None,
    typer.Option(
        help="Triplets alone converge poorly from scratch; most of the epochs by softmax help. With --init, "
        "triplet is the default."
    ),
]
Miner = Annotated[
    Literal["semi-hard", "hard", "hard-within", "random"],
    typer.Option(help="How a triplet's negative is chosen; random prepares triplets in advance."),
]
Criterion = Annotated[
    Literal["margin", "symmetric"], typer.Option(help="The paper's loss, or that with both sides' negatives.")
]
Margin = Annotated[float, typer.Option(help="In squared distance of unit vectors.", min=0, max=4)]
Memory = Annotated[
    int,
    typer.Option(help="Embeddings of earlier batches among which negatives are looked for.", min=0, max=1_000_000),
]
People = Annotated[int | None, typer.Option(help="People in a batch; by default 32, or all.", min=2, max=1_000)]
PerPerson = Annotated[int, typer.Option(help="Photos of each.", min=2, max=1_000)]
Epochs = Annotated[
    int | None, typer.Option(help="How long to train; by default 60, with --init 5.", min=1, max=10_000)
]
Steps = Annotated[
    int | None,
    typer.Option(
        help="Batches in an epoch; by default as many as show each photo once, 50 at least.", min=1, max=1_000_000
    ),
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        help="After the first steps; it falls along a cosine. By default 0.002, with --init 0.00003.",
        min=0,
        max=10,
    ),
]
HeldOut = Annotated[float, typer.Option(help="Share of the people to evaluate on.", min=0, max=0.5)]
EvalPairs = Annotated[
    Path | None,
    typer.Option(help="Evaluate on these pairs too: LFW's pairs.txt, or a CSV of crops (a,b,same)."),
]
EvalPhotos = Annotated[
    Path | None, typer.Option(help="Where the crops of LFW's pairs are; by default in FOLDER.", metavar="FOLDER")
]
Pca = Annotated[
    int | None, typer.Option(help="Reduce embeddings to their principal components in the end.", min=2, max=1_024)
]
Warped = Annotated[bool, typer.Option("--warped", help="The crops were made with align --warp.")]
Seed = Annotated[int, typer.Option(min=limits.SEED.least, max=limits.SEED.most)]
Precision = Annotated[
    Literal["auto", "float32", "bfloat16"],
    typer.Option(help="auto takes 16 bits where the processor or the GPU is faster with them."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")]
