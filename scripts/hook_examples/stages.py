"""Say how the training ended."""

from microgpt_core.hookspecs import hookimpl


def report(run):
    """The last loss, into `report.txt`."""
    text = f"{run.pipeline.name}: loss {run.result.train_loss:.4f} after {run.result.steps} steps\n"
    (run.folder / "report.txt").write_text(text, encoding="utf-8", newline="\n")
    run.reporter.headline(text.strip())


@hookimpl
def microgpt_stages():
    return {"report": report}
