"""Sign digits as the shipped network reads them, of people it was not trained on."""

from __future__ import annotations

import sys
from importlib import util
from pathlib import Path
from types import ModuleType

from aimass_stream.errors import Unavailable
from aimass_stream.inference import CpuDevice, installed

from ..speech.section import Result
from .labelled import SHARED

RECIPE = Path(__file__).parents[2] / "models" / "sign-digits" / "recipe.py"
PICTURES = SHARED / "images" / "sign_digits.tar"
QUICK = 8  # every eighth picture


def run(quick: bool) -> Result:
    """``absent`` says why there is nothing; else counts of people, pictures, hands found, and digits read rightly."""
    if not PICTURES.is_file():
        return {"absent": "../shared/data/images/sign_digits.tar is not here"}
    recipe = _recipe()
    signs = recipe.read(PICTURES)
    held_out = signs[recipe.cuts(signs, round(1 / recipe.TEST))[-2] :: QUICK if quick else 1]
    device = CpuDevice(threads=1)
    try:
        finder, model = recipe.Finder(), installed().open("sign-digits", device)
        hands = right = 0
        for sign in held_out:
            points = finder.find(recipe.framed(sign.picture))
            if points is not None:
                hands += 1
                right += int(model.run({"points": points[None]})["chances"].argmax()) == sign.digit
        model.close()
    except Unavailable as error:
        return {"absent": error.detail}
    finally:
        device.close()
    return {"absent": "", "people": len({sign.person for sign in held_out}), "pictures": len(held_out), "hands": hands,
            "right": right}


def _recipe() -> ModuleType:
    """The module that made the network, and knows how people were parted."""
    spec = util.spec_from_file_location("sign_digits_recipe", RECIPE)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look there
    spec.loader.exec_module(module)
    return module
