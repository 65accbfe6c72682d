"""What `--verbose` shows of networks that begin to run; programs hear it through Python's own logging."""

import logging

from facesearch.models.engines import Network

_log = logging.getLogger(__name__)


def report(model: str, network: Network) -> None:
    """Says which engine runs a model's network, and how."""
    engine = network.engine
    instead = f" ({engine.instead})" if engine.instead else ""
    _log.info("%s runs on %s in %s%s.", model, engine.name, engine.precision, instead)
