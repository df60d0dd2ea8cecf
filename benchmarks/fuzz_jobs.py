"""Small valid samples of runs and sweeps, for `fuzz_targets.py`.

Each is made in a folder that is also the home (`TINYSAE_HOME`).
"""

from __future__ import annotations

import json
from pathlib import Path

RUN_ID, SWEEP_ID = "20260101-000000-abc0000", "20260101-000000-abc0001"


def write_run(home: Path) -> None:
    from tinysae.config import TrainConfig
    from tinysae.jobs.files import make_folder, write_json
    from tinysae.jobs.status import JobStatus, write_status
    from tinysae.sae.estimate import Estimate

    folder = home / "runs" / RUN_ID
    make_folder(folder)
    config = TrainConfig(name="a run", seed=7).to_json()
    made_with = {"torch": "2.9", "device": "cpu", "n_threads": 2}
    write_json(folder / "config.json", config | {"made_with": made_with})
    status = JobStatus("failed", 3, 10, 2.5, 4.0, "error.run_id", {"run": "x"})
    write_status(folder, status)
    write_json(folder / "eval.json", {"l0": 3.0, "ce_loss_score": 0.5, "d_sae": 40})
    write_json(folder / "estimate.json", Estimate(1, (1.0, 2.0), (3.0, 4.0)).to_json())
    write_json(folder / "took.json", {"training": 2.0, "n_tokens": 10})
    write_json(folder / "wandb.json", {"mode": "offline", "n_lost": 0})
    names = ("n_tokens", "mse", "l1", "loss", "l0", "explained_variance", "lr")
    rows = (
        {"step": n, "n_dead": 0, "density": [3, 4], **dict.fromkeys(names, n * 10)}
        for n in range(20)
    )
    (folder / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    look = {"step": 1, "n_tokens": 5, "ce_loss_score": 0.5, "l0": 3.0}
    (folder / "evals.jsonl").write_text(json.dumps(look) + "\n")


def write_remarks(home: Path) -> None:
    from tinysae.jobs.files import write_json
    from tinysae.runs.remarks import FORMAT, NAME

    write_run(home)
    kept = {"format": FORMAT, "note": "as “expected”", "tags": ["a", "b c"]}
    write_json(home / "runs" / RUN_ID / NAME, kept)


def write_sweep(home: Path) -> None:
    from tinysae.config import TrainConfig
    from tinysae.jobs.files import make_folder, write_json
    from tinysae.jobs.status import JobStatus, write_status
    from tinysae.runs.store import SWEEP_NAME
    from tinysae.runs.sweep import FORMAT

    write_run(home)
    write_json(home / "runs" / RUN_ID / SWEEP_NAME, {"sweep": SWEEP_ID})
    folder = home / "sweeps" / SWEEP_ID
    make_folder(folder)
    axes = {"d_sae": [16, 32], "hook_name": ["blocks.0.hook_mlp_out"], "lr": [1e-3]}
    base, points = TrainConfig(seed=7).to_json(), [RUN_ID]
    about = {"format": FORMAT, "base": base, "axes": axes, "points": points}
    write_json(folder / SWEEP_NAME, about)
    write_status(folder, JobStatus("stopped"))


def write_plan(home: Path) -> None:
    from tinysae.jobs.files import write_json

    axes = {
        "lr": "1e-4..1e-2 x10",
        "seed": [1, 2],
        "hook_name": "blocks.*.hook_mlp_out",
    }
    write_json(home / "plan.json", {"base": {"d_sae": 64, "name": "a"}, "axes": axes})
