"""`bansui doctor`: look at everything an agent needs, and say what mends what is not well."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Final

import typer

from bansui.json_option import AsJson

app = typer.Typer()

_CHECKS: Final = {
    "configuration": "配置",
    "privacy": "隐私",
    "noise": "噪声",
    "packages": "软件包",
    "sqlite": "SQLite",
    "disk": "磁盘",
    "serial": "串口",
    "devices": "设备",
    "topics": "主题",
    "ports": "端口",
    "broker": "消息代理",
    "centre": "物联中心",
    "clock": "时钟",
    "time service": "对时服务",
}
"""What is looked at, in Chinese."""


@app.command("doctor")
def doctor(
    config: Annotated[Path, typer.Option("--config", help="The agent's TOML file.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Check configuration, disk, clock, lines to devices, ports, broker and centre; exit 1 if something is not well."""
    from bansui.checks import Verdict, examine
    from bansui.failures import language, translated
    from edge_agent.bindings import prepare
    from edge_agent.config_file import load

    loaded = load(config)
    findings, names = [], _CHECKS if language() == "zh" else {}
    for finding in examine(loaded, prepare(loaded)):
        findings.append(finding)
        if not as_json:
            print(f"{finding.verdict.mark} {names.get(finding.check, finding.check)}: {translated(finding.what)}")
            if finding.fix:
                print(f"  {translated(finding.fix)}")
    if as_json:
        print(json.dumps([dataclasses.asdict(finding) for finding in findings], ensure_ascii=False))
    if any(finding.verdict is Verdict.BAD for finding in findings):
        raise typer.Exit(1)
