"""A folder of models that other programs run, with what they must know of them."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx
from jinja2 import Environment, PackageLoader, StrictUndefined

from vocalsketch.domain import SIDES
from vocalsketch.errors import ConfigError
from vocalsketch.export.agreement import CLIPS, Agreement, agreement, trial_clips
from vocalsketch.export.graph import OPSET, Precision, graphs_of, with_precision
from vocalsketch.files import made_whole
from vocalsketch.systems import System


def export_system(
    system: System,
    out: Path,
    *,
    precision: Precision = "float32",
    licence: str = "not stated",
    clips: int = CLIPS,
) -> Agreement:
    """Write a system as ONNX models, whole or not at all.

    The folder holds ``imitation.onnx`` and ``recording.onnx`` (waveforms to embeddings),
    ``score.onnx``, ``metadata.json`` and a README with their use.

    Args:
        system: Any that torch alone computes.
        out: A folder that does not exist yet.
        precision: Of the stored weights.
        licence: Of the weights, which the models name.
        clips: Of each side, on which the models are compared with the system.

    Returns:
        How far the models are from the system; in float32 no further than rounding.

    Raises:
        ConfigError: The system cannot be exported: which part, and why; or its models differ.
        StorageError: The folder exists, or cannot be written.
    """
    with made_whole(out) as made:
        graphs, heard = graphs_of(system), trial_clips(system, clips)
        measured = agreement(system, graphs, heard)
        if not measured.exact:
            raise ConfigError(
                f"The models of {type(system).__name__} are not the system that they were made of, "
                f"{measured}: nothing was written."
            )
        if precision != "float32":
            graphs = {name: with_precision(graphs[name], precision, system) for name in graphs}
            measured = agreement(system, graphs, heard)
        about = _about(system, graphs, precision, licence) | {"agreement": asdict(measured)}
        for name, graph in graphs.items():
            _describe(graph, name, about)
        _write(made, graphs, about)
    return measured


def _about(
    system: System, graphs: dict[str, onnx.ModelProto], precision: Precision, licence: str
) -> dict[str, Any]:
    sides = {}
    for side in SIDES:
        shape = system.clip_shape(side)
        sides[side] = {
            "file": f"{side}.onnx",
            "sample_rate": shape.sample_rate,
            "seconds": shape.seconds,
            "samples": shape.samples,
            "trim": shape.trim,
            "width": graphs[side].graph.output[0].type.tensor_type.shape.dim[1].dim_value,
        }
    return {
        "system": system.description()["system"],
        "fingerprint": system.fingerprint,
        "kind": system.kind,
        "inner_product": system.inner_product,
        "aspects": system.aspects,
        "corpus": system.corpus,
        "licence": licence,
        "precision": precision,
        "opset": OPSET,
        "sides": sides,
        "score": "score.onnx",
        "description": system.description(),
    }


def _describe(graph: onnx.ModelProto, name: str, about: dict[str, Any]) -> None:
    """Write into a model what it is."""
    own = about["sides"].get(name, {"file": about["score"]})
    plain = {key: value for key, value in about.items() if not isinstance(value, dict)}
    del plain["score"]
    known = {"side": name, **own, **plain} if name in SIDES else {**own, **plain}
    onnx.helper.set_model_props(graph, {key: json.dumps(value) for key, value in known.items()})
    graph.producer_name, graph.producer_version = "vocalsketch", ""


def _write(folder: Path, graphs: dict[str, onnx.ModelProto], about: dict[str, Any]) -> None:
    for name, graph in graphs.items():
        onnx.checker.check_model(graph)
        (folder / f"{name}.onnx").write_bytes(graph.SerializeToString())
    text = json.dumps(about, indent=2, ensure_ascii=False)
    (folder / "metadata.json").write_text(f"{text}\n", encoding="utf-8")
    pages = Environment(  # noqa: S701 - Markdown
        loader=PackageLoader("vocalsketch", "export"), undefined=StrictUndefined
    )
    readme = pages.get_template("README.md.j2").render(about)
    (folder / "README.md").write_text(readme, encoding="utf-8")
