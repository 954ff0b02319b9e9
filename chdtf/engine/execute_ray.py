"""Runs chains on a Ray cluster, a fresh local one or one that is there. The work is that of `run_local`, file for file.

Every node needs this package, at the same version, and the dataset's folder under the same path (a shared file system).
"""

import importlib
import logging
import os
from collections.abc import Iterator, Sequence
from typing import Any

from chdtf.engine.chain import Chain, run_chain
from chdtf.engine.execute import Deaths, Outcome, Progress, gathered
from chdtf.engine.step_log import ShardReport
from chdtf.errors import UserError

log = logging.getLogger(__name__)


def run_ray(chains: Sequence[Chain], address: str | None, workers: int | None, progress: Progress) -> Outcome:
    """Run all chains as Ray tasks of one CPU each.

    `address` is that of a cluster (`auto`: the one of this machine), or None for a fresh one on this machine with
    `workers` CPUs. Raises `UserError` when Ray is not installed or the cluster does not answer.
    """
    ray = _connected(address, workers)
    try:
        return gathered(chains, _results(ray, chains), progress)
    finally:
        ray.shutdown()


def _connected(address: str | None, workers: int | None) -> Any:
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError as error:
        raise UserError(
            "--engine ray needs the package ray; install it with: pip install 'disentbench[ray]'"
        ) from error
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # a warning of the next version otherwise
    quiet = {"log_to_driver": log.isEnabledFor(logging.INFO), "logging_level": logging.ERROR}
    try:
        if address is None:
            ray.init(num_cpus=workers, include_dashboard=False, **quiet)
        else:
            ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"--ray-address {address}: {reason}; start a cluster with: ray start --head, or leave the address away"
        ) from error
    return ray


def _deaths(ray: Any) -> tuple[type[Exception], ...]:
    """What Ray raises when a task's process or node is gone, also when Ray itself ended it for want of memory."""
    said = ray.exceptions
    return said.WorkerCrashedError, said.NodeDiedError, said.OutOfMemoryError, said.ObjectLostError


def _results(ray: Any, chains: Sequence[Chain]) -> Iterator[tuple[Chain, list[ShardReport] | None]]:
    """Yield each chain with its reports, or with None when it was given up."""
    # max_calls=0: the worker stays, and with it the models that it has loaded
    task = ray.remote(num_cpus=1, max_retries=0, max_calls=0)(run_chain)
    deaths = Deaths()
    todo = list(reversed(chains))
    running: dict[Any, Chain] = {}
    while todo or running:
        # so many at a time that every CPU has its next at hand, and no more: the queue is ours
        while todo and len(running) < 2 * max(1, int(ray.cluster_resources().get("CPU", 1))):
            chain = todo.pop()
            running[task.remote(chain, watched=True)] = chain
        ready, _ = ray.wait(list(running), num_returns=1)
        for reference in ready:
            chain = running.pop(reference)
            try:
                yield chain, ray.get(reference)
            except ray.exceptions.RayTaskError as error:
                raise error.cause if isinstance(error.cause, Exception) else error from error
            except _deaths(ray) as error:
                if deaths.is_another_try(chain, type(error).__name__):
                    todo.append(chain)
                else:
                    yield chain, None
