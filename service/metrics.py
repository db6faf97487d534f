"""What the service counts and times, for Prometheus."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The figures of one application; each has its own registry, so that two never mix."""

    def __init__(self) -> None:
        """Start at zero."""
        self.registry = CollectorRegistry()
        put = self.registry
        self._requests = Counter(
            "recto_requests", "Requests answered", ["method", "route", "status"], registry=put
        )
        self._seconds = Histogram(
            "recto_request_seconds",
            "Seconds until a response ended",
            ["route"],
            buckets=_SECONDS,
            registry=put,
        )
        self._stages = Histogram(
            "recto_stage_seconds", "Seconds of a search's stage", ["stage"], buckets=_SECONDS, registry=put
        )
        self._batch = Histogram(
            "recto_batch_queries", "Queries encoded together", buckets=(1, 2, 4, 8, 16, 32, 64), registry=put
        )
        self._cache = Counter("recto_query_cache", "Encoded queries looked up", ["result"], registry=put)
        self._pages = Counter("recto_pages_indexed", "Pages that a job brought to an end", registry=put)
        self._rate = Gauge("recto_pages_per_second", "Pages a second over the last batch", registry=put)
        self.active = Gauge("recto_active_requests", "Model and image requests that run now", registry=put)
        self.waiting = Gauge("recto_waiting_requests", "Requests that wait for a place", registry=put)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.registry.register(_GpuMemory())

    def watch(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Show a figure that is read when Prometheus asks."""
        Gauge(name, help_text, registry=self.registry).set_function(read)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request under its route's template."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def stages(self, timings_ms: Mapping[str, float]) -> None:
        """Count the milliseconds of a search's stages."""
        for stage, milliseconds in timings_ms.items():
            self._stages.labels(stage).observe(milliseconds / 1000)

    def batch(self, size: int) -> None:
        """Count a batch of queries that were encoded together."""
        self._batch.observe(size)

    def cached(self, *, hit: bool) -> None:
        """Count a look into the cache of encoded queries."""
        self._cache.labels("hit" if hit else "miss").inc()

    def indexed(self, pages: int, seconds: float) -> None:
        """Count pages that a batch brought to an end, and how fast."""
        self._pages.inc(pages)
        if pages and seconds > 0:
            self._rate.set(pages / seconds)

    def page(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)


class _GpuMemory(Collector):
    """Bytes in use on each GPU; says nothing where torch was not loaded or sees no GPU."""

    def collect(self) -> Iterator[Metric]:
        torch = sys.modules.get("torch")  # asking must not be what loads torch
        if torch is None or not torch.cuda.is_available():
            return
        family = GaugeMetricFamily("recto_gpu_memory_bytes", "GPU memory in use", labels=["device"])
        for device in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(device)
            family.add_metric([str(device)], float(total - free))
        yield family


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        """Start."""
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """How long ago that was."""
        return time.perf_counter() - self._start
