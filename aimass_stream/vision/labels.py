"""Names of classes: the eighty of COCO, which most public detectors are trained on, in its order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import InvalidInput

COCO = tuple("""
person|bicycle|car|motorbike|aeroplane|bus|train|truck|boat|traffic light|fire hydrant|stop sign|parking meter|bench
bird|cat|dog|horse|sheep|cow|elephant|bear|zebra|giraffe|backpack|umbrella|handbag|tie|suitcase|frisbee|skis|snowboard
sports ball|kite|baseball bat|baseball glove|skateboard|surfboard|tennis racket|bottle|wine glass|cup|fork|knife|spoon
bowl|banana|apple|sandwich|orange|broccoli|carrot|hot dog|pizza|donut|cake|chair|sofa|pottedplant|bed|diningtable
toilet|tvmonitor|laptop|mouse|remote|keyboard|cell phone|microwave|oven|toaster|sink|refrigerator|book|clock|vase
scissors|teddy bear|hair drier|toothbrush
""".strip().replace("\n", "|").split("|"))

SETS = {"coco": COCO}


def labels_of(options: Mapping[str, Any]) -> tuple[str, ...]:
    """The labels that a manifest's options give: a list, or a set's name. Raises `InvalidInput`."""
    given = options.get("labels", ())
    if isinstance(given, str) and given in SETS:
        return SETS[given]
    if not isinstance(given, list | tuple) or not given or not all(isinstance(label, str) for label in given):
        raise InvalidInput(f"labels must be a list of words or one of {', '.join(SETS)}", field="options.labels")
    return tuple(given)
