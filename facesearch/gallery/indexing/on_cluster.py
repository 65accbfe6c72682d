"""The work of a run on a Ray cluster: what the gallery's models, its engine and the run's options are is told to the
workers, and nothing else of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from facesearch.cluster.ray_bundle import packed, settled
from facesearch.cluster.ray_cluster import Cluster
from facesearch.cluster.ray_crew import RayCrew
from facesearch.cluster.ray_flow import Means, OnRay
from facesearch.cluster.ray_plan import Plan
from facesearch.cluster.ray_records import Order
from facesearch.cluster.ray_session import Session
from facesearch.errors import Note
from facesearch.faces.analyser import Analysed, Analyser
from facesearch.flow.pace import BATCH, GPU_BATCH, MOST_WORKERS, Pace
from facesearch.flow.stages import Flow
from facesearch.gallery.agreement import detector_of
from facesearch.gallery.database import Database
from facesearch.gallery.indexing.likeness import Likenesses
from facesearch.gallery.indexing.options import IndexOptions
from facesearch.gallery.indexing.tally import Tally
from facesearch.gallery.records.settings import GallerySettings
from facesearch.gallery.vectors.index import import_faiss
from facesearch.interruption import at_once
from facesearch.models.cards import DetectorCard, EmbedderCard, embedder_card
from facesearch.models.device import Precision
from facesearch.models.engines import Engine
from facesearch.models.export import exported_to, prepare
from facesearch.photos.file import PhotoFile, load

_SENT, _SENT_TO_GPU = 16, 64  # photos: what is done again when a node dies
_SIGHTS = 8  # files that a worker has to see at its start


@dataclass(frozen=True, slots=True)
class Machines:
    """An open connection to a cluster, and what is wanted of it. `batch` is how many photos a worker analyses at
    once; None: as many as on one machine."""

    session: Session
    cluster: Cluster
    precision: Precision
    batch: int | None
    note: Note

    @contextmanager
    def flow(
        self, db: Database, settings: GallerySettings, options: IndexOptions, tally: Tally
    ) -> Iterator[Flow[None, Analysed]]:
        """The flow of one pass; its workers start with the first photo that needs them, and end with the block."""
        crews: list[RayCrew] = []

        def assemble(files: list[PhotoFile]) -> RayCrew:
            if not crews:
                import_faiss()
                with at_once():
                    crews.append(self._crew(settings, options, files, tally))
            return crews[0]

        on_gpu = self.cluster.gpu_share is not None
        batch = min(self.batch or _SENT_TO_GPU, _SENT_TO_GPU if on_gpu else _SENT)
        read = partial(load, max_megapixels=options.max_megapixels)
        try:
            yield OnRay(assemble, Means(read, Likenesses(db).of, batch, self.note))
        finally:
            for crew in crews:
                tally.cluster = crew.use()
                crew.close()

    def _crew(
        self, settings: GallerySettings, options: IndexOptions, files: list[PhotoFile], tally: Tally
    ) -> RayCrew:
        detector, embedder = settled(detector_of(settings)), settled(embedder_card(settings.model))
        on_gpu = self.cluster.gpu_share is not None
        prepare([detector, embedder], self.note)
        plan = self._plan()
        order = Order(
            detector,
            embedder,
            {card.name: exported_to(card).name for card in (detector, embedder)},
            on_gpu,
            self.precision,
            None if on_gpu else self._engine(detector, embedder),
            Pace(plan.cpus, self.batch or (GPU_BATCH if on_gpu else BATCH)),
            options.max_megapixels,
            options.seconds,
            options.thumbnails is not None,
            tuple(files[:_SIGHTS]),
        )

        def begin(engine: Engine) -> None:
            tally.engine = engine
            tally.begin_working()

        return RayCrew(self.session, plan, order, packed([detector, embedder], on_gpu), self.note, begin)

    def refuse_without_room(self) -> None:
        """Raises FaceSearchError where no node of the cluster has room for a worker."""
        self._plan().refuse_without_room(self.session)

    def _plan(self) -> Plan:
        return Plan(self.cluster, self._cores())

    def _engine(self, detector: DetectorCard, embedder: EmbedderCard) -> Engine:
        """What this machine would embed with on a CPU, as the workers have to."""
        return Analyser.of_prepared(detector, embedder, "cpu", 1, self.precision).engine

    def _cores(self) -> int:
        """Of a worker. What a GPU takes in needs some to be decoded: as many as the nodes have for each share."""
        share = self.cluster.gpu_share
        if share is None or self.cluster.cores > 1:
            return self.cluster.cores
        by_node = [int(node.cpus * share / node.gpus) for node in self.session.nodes() or () if node.gpus >= 1]
        return max(1, min([*by_node, MOST_WORKERS]))
