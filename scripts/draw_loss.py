"""Draw a run's loss as an SVG: the README's picture.

    python scripts/draw_loss.py runs/names-1 docs/images/names-loss.svg [--guessing 3.296]

Each dot is a step's training loss, the line its running mean, the rings the validation loss.
"""

import argparse
import json
from itertools import pairwise
from pathlib import Path

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 320, 52, 16, 20, 40
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #57606a }
  .grid { stroke: #8c959f; stroke-opacity: .25 } .dot { fill: #8c959f; fill-opacity: .35 }
  .mean { stroke: #0969da; stroke-width: 2; fill: none } .val { stroke: #bc4c00; stroke-width: 2; fill: none }
  .guess { stroke: #8c959f; stroke-dasharray: 5 4 }
  @media (prefers-color-scheme: dark) { text { fill: #9198a1 } .mean { stroke: #4493f8 } .val { stroke: #f0883e } }
"""


def running_mean(values: list[float], keep: float = 0.97) -> list[float]:
    """An exponential mean, freed of its bias towards zero at the beginning."""
    total, weight, result = 0.0, 0.0, []
    for value in values:
        total, weight = keep * total + (1 - keep) * value, keep * weight + (1 - keep)
        result.append(total / weight)
    return result


def draw(steps: list[dict[str, float]], guessing: float) -> str:
    losses = [step["train/loss"] for step in steps]
    validation = [(step["step"], step["val/loss"]) for step in steps if "val/loss" in step]
    low, high, last = min(losses), max(*losses, guessing) + 0.1, steps[-1]["step"]
    low = int(low * 2) / 2  # a half below the lowest

    def x(step: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * step / last, 1)

    def y(loss: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (high - loss) / (high - low), 1)

    ticks = [low + 0.5 * i for i in range(int((high - low) / 0.5) + 1)]
    lines = [f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(t)}" y2="{y(t)}"/>' for t in ticks]
    lines += [f'<text x="{LEFT - 8}" y="{y(t) + 4}" text-anchor="end">{t:.1f}</text>' for t in ticks]
    lines += [
        f'<text x="{x(last * i / 5)}" y="{HEIGHT - 14}" text-anchor="{"end" if i == 5 else "middle"}">'
        f"{last * i // 5:g}{' steps' if i == 5 else ''}</text>"
        for i in range(6)
    ]
    lines += [f'<circle class="dot" cx="{x(s["step"])}" cy="{y(s["train/loss"])}" r="1.5"/>' for s in steps]
    means = zip((step["step"] for step in steps), running_mean(losses))
    points = " ".join(f"{x(s)},{y(mean)}" for s, mean in means)
    lines.append(f'<polyline class="mean" points="{points}"/>')
    lines += [
        f'<line class="val" x1="{x(a)}" y1="{y(v)}" x2="{x(b)}" y2="{y(w)}"/>'
        for (a, v), (b, w) in pairwise(validation)
    ]
    lines += [f'<circle class="val" cx="{x(s)}" cy="{y(v)}" r="4"/>' for s, v in validation]
    lines.append(f'<line class="guess" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(guessing)}" y2="{y(guessing)}"/>')
    lines.append(f'<text x="{WIDTH - RIGHT}" y="{y(guessing) + 16}" text-anchor="end">guessing: {guessing:.3f}</text>')
    if validation:
        step, loss = validation[-1]
        lines.append(f'<text x="{x(step)}" y="{y(loss) + 62}" text-anchor="end">validation: {loss:.3f}</text>')
    body = "\n".join(lines)
    title = "Loss in nats per character, falling with the steps"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n{body}\n</svg>\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw a run's loss as an SVG.")
    parser.add_argument("run", type=Path)
    parser.add_argument("svg", type=Path)
    parser.add_argument("--guessing", type=float, default=3.296, help="the loss of guessing, ln of the vocabulary")
    given = parser.parse_args()
    lines = (given.run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    given.svg.parent.mkdir(parents=True, exist_ok=True)
    given.svg.write_text(draw([json.loads(line) for line in lines], given.guessing), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
