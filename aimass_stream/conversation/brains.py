"""Which brain a conversation gets."""

from __future__ import annotations

from ..settings import Settings
from .brain import Brain, Choice
from .chat import ChatBrain
from .guarded import GuardedBrain
from .offline import OfflineBrain
from .tools import Surroundings, Toolbox


def open_brain(settings: Settings, toolbox: Toolbox, around: Surroundings, *, choice: Choice = "default",
               reserve: bool = False) -> Brain:
    """The brain of one conversation. `toolbox` must be loaded.

    "default" is what the operator set: a language model with the command layer beside it, or that layer alone.
    `reserve`: the layer is asked only when the model has failed.
    """
    commands = OfflineBrain(toolbox, around)
    if choice == "offline" or settings.brain == "offline":
        return commands
    model = ChatBrain(settings.brain, model=settings.brain_model, key=settings.brain_key,
                      timeout=settings.brain_timeout)
    return GuardedBrain(model, commands, reserve=reserve)
