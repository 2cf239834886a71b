"""Texts: posts of a wanted count of characters, comments."""
from __future__ import annotations

import random

import law_text
from law_readings import Readings

SENTENCES = (
    "通过本次研修活动，我对信息技术与学科融合有了更深入的理解。", "PPT 与 video 资源的使用应当适度，避免喧宾夺主。",
    "与同伴交流之后，我重新设计了本单元的教学环节。", "今后我将继续反思，把研修成果落实到日常教学中。",
    "我用 GeoGebra 5.0 演示 y=kx+b 的图象，学生 100% 参与。", "We learn by doing, 我在班里试了 STEAM 项目。\n",
    "评价应当关注学生的过程表现，而不只是结果！", "作业分 A、B、C 三层，（见附件1）。", "ＱＱ群里的讨论也很热烈；",
    "孩子们说：「老师，再来一次！」",
)
WIDE_A = ("他说“好……”——这是引号。", "①课前②课中③课后，", "气温 20℃±1，")  # East Asian width A inside
COMMENTS = ("教学目标清晰，环节设计合理，建议补充分层作业。", "反思到位，证据充分，值得推荐。", "结构尚可，请补充。", "Good work, 继续努力。")
BLANKS = ("", " ", "  ", "\u3000", " \u3000\u3000", "\n\t", "\u3000\n")
PLAIN = Readings()


def count(text: str) -> int:
    return law_text.count(text, PLAIN)


def post(dice: random.Random, wanted: int, exact: bool) -> str:
    """At least `wanted` characters, or exactly so many."""
    text, have = "", 0
    target = wanted if exact else wanted + dice.randrange(60)
    while have < target:
        text += dice.choice(SENTENCES)
        have = count(text)
    if not exact:
        return text + (dice.choice(WIDE_A) if dice.random() < 0.1 else "")
    while count(text) > wanted:
        text = text[:-1]
    while count(text) < wanted:
        text += "研"
    return text + dice.choice(("", "\n", "  "))
