"""A graph of calls as Graphviz DOT: `microgpt plan --dot | dot -Tpng -o block.png`."""

from microgpt_core.pipeline.preview.picture import Node

HEAD = """\
  graph [fontname=Helvetica, fontsize=11, labeljust=r, style=filled, color=gray93];
  node [fontname=Helvetica, fontsize=11, shape=box, style="rounded,filled"];
  edge [fontname=Helvetica, fontsize=9, color=gray40];"""


def to_dot(nodes: list[Node], name: str) -> str:
    """A statement a line: the nodes, each in the cluster of its group, then the edges."""
    lines = [f"digraph {quoted(name)} {{", HEAD]
    for i, node in enumerate(nodes):
        label = quoted(f"{node.title} {node.part}".strip(), *node.notes)
        line = f"n{i} [label={label}, fillcolor={'white' if node.kind == 'call' else 'gray85'}];"
        cluster = f"subgraph {quoted(f'cluster_{node.group}')} {{ label={quoted(node.group)}; {line} }}"
        lines.append(f"  {cluster if node.group else line}")
    lines += [f"  n{a} -> n{b} [label={quoted(shape)}];" for b, node in enumerate(nodes) for a, shape in node.reads]
    return "\n".join([*lines, "}"])


def quoted(*lines: str) -> str:
    """Lines as one DOT string."""
    text = "\n".join(lines).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'
