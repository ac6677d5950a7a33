"""When this is there for so long, tell it: an event, and a webhook if somebody else is to know."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from ..errors import InvalidInput, InvalidPipeline
from ..events import RuleFired, RuleOver
from ..frames import Kind, VideoFrame
from ..seeing.rules import Judge, Rule, asked, sights
from ..stage import Context, Result
from ..stage_base import VIDEO, BaseStage, Params
from ..webhooks import target_of


class RuleParams(Params):
    when: str = Field("person", max_length=200, description="what must be there: a label, name or gesture that stages "
                      "before this one tell, as person, face or motion, or in quotation marks words that one reads, as "
                      "\"EXIT\"; several with commas between: one of them; empty: anything")
    zone: str = Field("", max_length=40, description="in which of their zones; empty: anywhere")
    seconds: float = Field(3, ge=0, le=3600, description="for so long without a break",
                           json_schema_extra={"unit": "s", "step": 0.5})
    count: int = Field(1, ge=0, le=100, description="so many of them at least, each for so long; 0: none at all",
                       json_schema_extra={"unit": "things"})
    then: str = Field("alarm", min_length=1, max_length=64, description="what the events rule.fired and rule.over "
                      "call it")
    webhook: str = Field("", max_length=2000, description="https address that rule.fired is posted to, signed; needs "
                         "a secret in the server's settings")
    patience: float = Field(1, ge=0, le=60, description="unseen for less is no break",
                            json_schema_extra={"unit": "s", "step": 0.1})
    cooldown: float = Field(10, ge=0, le=86_400, description="once told, not told again for so long",
                            json_schema_extra={"unit": "s", "step": 1})

    @property
    def rule(self) -> Rule:
        words, texts = asked(self.when)
        return Rule(words, self.zone.strip(), self.seconds, self.count, self.patience, self.cooldown, texts)


class RuleStage(BaseStage[RuleParams]):
    """Watches what stages before it find, and tells when so many of it are in a zone for so long.

    For example a person at the door for 3 s, nobody at the till for a minute, or a line with "EXIT" in it. Pictures
    pass untouched. Time is media time, counted for each thing on its own where it has an id.
    """

    title = "Rule"
    accepts: ClassVar[frozenset[Kind]] = VIDEO
    Params = RuleParams

    def __init__(self, params: RuleParams) -> None:
        super().__init__(params)
        self._judge = Judge(params.rule)

    async def start(self, context: Context) -> None:
        """Raises `InvalidPipeline` for a webhook that this server does not send."""
        await super().start(context)
        self._check(self.params)

    def update(self, params: RuleParams) -> None:
        """Another condition is watched from now on; what was told of the one before is not told to be over."""
        self._check(params)
        super().update(params)
        if params.rule != self._judge.rule:
            self._judge = Judge(params.rule)

    async def process(self, frame: VideoFrame) -> Result:
        params, judge = self.params, self._judge
        found = sights({**frame.beside, **frame.notes}, judge.rule)
        if found is None:
            return frame
        match judge.see(frame.seconds, found):
            case "fired":
                self.context.event(RuleFired(
                    rule=params.then, when=params.when, zone=params.zone, count=len(judge.holding),
                    ids=[number for _, number in judge.holding if number > 0], seconds=round(judge.lasted, 2),
                    webhook=params.webhook), frame)
            case "over":
                self.context.event(RuleOver(rule=params.then, zone=params.zone, seconds=round(judge.lasted, 2)), frame)
        return frame

    def _check(self, params: RuleParams) -> None:
        if params.webhook:
            try:
                target_of(params.webhook, self.context.settings)
            except InvalidInput as error:
                raise InvalidPipeline(error.detail, field="webhook") from None
