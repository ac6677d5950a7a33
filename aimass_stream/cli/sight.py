"""What of painting and seeing works on this machine."""

from __future__ import annotations

from importlib.util import find_spec

from ..settings import Settings
from .checks import Finding

READING = "rapidocr_onnxruntime"  # of the extra ocr


def painting(settings: Settings) -> Finding:
    """Styles, whether one can be taken from any picture, and whether new ones can be learned."""
    from ..errors import NotFound, Unavailable
    from ..stages.style import choices, painter
    from ..training import check, judge
    from ..weights import folder_of

    _look_in(settings)
    styles = [style.title for style in choices()]
    try:
        painter()
        after = "and after any picture"
    except NotFound:
        after = "but not after other pictures"
    if not styles:
        return Finding("warn", f"no style is installed, {after}", "put a style's folder into one of AIMASS_MODEL_DIRS")
    text = f"paints in {len(styles)} styles ({', '.join(styles)}), {after}"
    try:
        check()
        judge.find(None, folder_of(settings))
    except (Unavailable, NotFound) as error:
        return Finding("ok", f"{text}. New styles can't be learned", error.detail)
    return Finding("ok", f"{text}. Learns new ones")


def sight(settings: Settings) -> Finding:
    """Detectors, hands, backgrounds, and reading; which of these npm's packages are missing for."""
    from ..inference import installed
    from ..seeing.detector import detectors
    from ..weights import npm

    _look_in(settings)
    entries = installed().entries()
    lost = sorted({f"{entry.npm.package}@{entry.npm.version}" for entry in entries
                   if entry.npm and not npm.installed(entry.npm.package)})
    there = {entry.name for entry in entries if entry.npm is None or npm.installed(entry.npm.package)}
    text = f"detectors: {', '.join(entry.name for entry in detectors(installed()) if entry.name in there) or 'none'}"
    tasks = {entry.task for entry in entries if entry.name in there}
    able = [name for name, task in (("hands", "hand-points"), ("background", "person-segmentation")) if task in tasks]
    reads = find_spec(READING) is not None
    able += ["ocr"] * reads
    unable = [name for name in ("hands", "background", "ocr") if name not in able]
    text += f"; stages {', '.join(able) or 'none'}" + (f"; not {', '.join(unable)}" if unable else "")
    advice = [f"the npm packages {', '.join(lost)} are missing: {npm.command(*lost)}"] if lost else []
    advice += [] if reads else ["ocr: pip install 'aimass-stream[ocr]'"]
    return Finding("warn" if advice else "ok", text, "; ".join(advice))


def _look_in(settings: Settings) -> None:
    from ..inference import installed
    from ..weights import folder_of

    installed().add(*settings.model_dirs, folder_of(settings))
