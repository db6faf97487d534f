"""fast-plaid in a process of its own: its wheels are linked against one version of torch, which may not be ours.

    uv venv plaid && uv pip install --python plaid/bin/python fast-plaid==1.1.0 torch==2.9.1 numpy
    .venv/bin/python -m benchmarks.retrieval --plaid plaid/bin/python

Started by the benchmark as `PYTHON retrieval_plaid.py PAGES.npy FOLDER THREADS`. It answers the rows of each query
on standard input with page numbers on standard output, after the seconds of building.
"""

import os
import sys
import time
from multiprocessing.connection import Connection

import numpy as np
import torch
from fast_plaid import search

DEPTH = 100


def main() -> None:
    source, folder, threads = sys.argv[1:]
    asked, answers = Connection(0, writable=False), Connection(os.dup(1), readable=False)
    os.dup2(2, 1)  # what the library prints must not stand among the answers
    torch.set_num_threads(int(threads))
    pages = torch.from_numpy(np.load(source))
    start = time.perf_counter()
    index = search.FastPlaid(index=folder, device="cpu")
    index.create(documents_embeddings=list(pages))
    answers.send(time.perf_counter() - start)
    dim = pages.shape[2]
    del pages
    while True:
        try:
            query = np.frombuffer(asked.recv_bytes(), dtype=np.float32).reshape(-1, dim).copy()
        except EOFError:
            return
        found = index.search(torch.from_numpy(query)[None], top_k=DEPTH, show_progress=False)[0]
        answers.send([page for page, _ in found])


if __name__ == "__main__":
    main()
