"""`bansui explain`: what an error code, a reason or a word of the balance means, and what to do."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from bansui import failures
from bansui.explanations import explanations
from bansui.json_option import AsJson
from telemetry import ConfigurationError

if TYPE_CHECKING:
    from bansui.explanations import Explanation

app = typer.Typer()

_WORDS: Final = {
    "en": {
        "error": "error, exit code {}",
        "reason": "why a reading was rejected or withheld",
        "stage": "a word of the balance",
        "why": "why it matters",
        "fix": "what to do",
    },
    "zh": {
        "error": "错误，退出码 {}",
        "reason": "读数被拒收或未发布的原因",
        "stage": "账目中的一项",
        "why": "为何要紧",
        "fix": "怎么办",
    },
}


class UnknownCode(ConfigurationError):
    """A word that is neither an error's code nor a reason or stage of a reading."""

    code = "unknown_code"


@app.command("explain")
def explain(
    code: Annotated[str, typer.Argument(help="The code; without one, all of them.")] = "",
    as_json: AsJson = False,
) -> None:
    """Explain an error code, a reason for which a reading was rejected, or a word of the balance."""
    found = [entry for entry in explanations() if code in ("", entry.code)]
    if not found:
        raise _unknown(code)
    if as_json:
        print(json.dumps([_as_dict(entry) for entry in found], ensure_ascii=False, indent=2))
    elif code:
        print("\n\n".join(map(_paragraph, found)))
    else:
        width = max(len(entry.code) for entry in found)
        for entry in found:
            print(f"{entry.code:<{width}}  {entry.what[failures.language()]}")


def _paragraph(entry: Explanation) -> str:
    language = failures.language()
    words = _WORDS[language]
    lines = [f"{entry.code} ({words[entry.kind].format(entry.exit_code)})", f"  {entry.what[language]}"]
    lines += [f"  {words[part]}: {getattr(entry, part)[language]}" for part in ("why", "fix")]
    return "\n".join(lines)


def _as_dict(entry: Explanation) -> dict[str, Any]:
    texts = {part: getattr(entry, part) for part in ("what", "why", "fix")}
    return {"code": entry.code, "kind": entry.kind, "exit_code": entry.exit_code, **texts}


def _unknown(code: str) -> UnknownCode:
    known = sorted({entry.code for entry in explanations()})
    near = difflib.get_close_matches(code.lower().replace("-", "_"), known, n=1, cutoff=0.5)
    guess = f"bansui explain {near[0]}" if near else "bansui explain"
    return UnknownCode(f"{code!r} is not a code", where="bansui explain", fix=guess)
