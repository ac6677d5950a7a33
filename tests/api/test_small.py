"""What makes modules small leaves texts, patterns and public names as they are."""

from aimass_stream.api.small import small

MODULE = b"""
/** Of a thing. */
export class Thing {
  #counted = 0; // private
  #colour = "#count is no name here: #fff";
  pattern = /\\/\\* #x "[/]*/g;
  add() {
    this.#counted += 1;
    return `${this.#counted}  of  /* it */ ${`#${this.#colour}`}`;
  }
}
"""


def test_private_names_are_short_and_texts_are_as_they_were() -> None:
    code = small(MODULE)
    assert len(code) < len(MODULE) * 0.8
    assert b"private" not in code
    for kept in (b"class Thing", b'/\\/\\* #x "[/]*/g', b"  of  /* it */ ", b'"#count is no name here: #fff"'):
        assert kept in code


def test_numbers_stand_where_their_constants_were() -> None:
    code = small(b"const MOST = 1_000; // at once\nexport const LIMIT = 5;\nlet held = [MOST, LIMIT, told.MOST];")
    assert code.strip() == b"export const LIMIT=5;let held=[1_000,LIMIT,told.MOST];"
