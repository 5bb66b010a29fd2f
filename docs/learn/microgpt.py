"""A whole GPT on one page: it reads names, learns how they are spelled, and makes up new ones.

Nothing is imported but mathematics and chance. Read from top to bottom, then run: python docs/learn/microgpt.py
"""

import math
import random

DOCUMENTS = __file__.rsplit("docs", 1)[0] + "microgpt_core/text/names.txt"  # one document a line; try your own file
N_EMBD = 16  # numbers that describe one token
N_LAYER = 1  # blocks, one after the other
N_HEAD = 4  # things a block can look for at the same time
BLOCK_SIZE = 8  # tokens that the model can see
NUM_STEPS = 1000  # documents that it learns from
LEARNING_RATE = 1e-2  # about how far a weight moves in the first step; later steps are shorter
TEMPERATURE = 0.5  # below 1 the names play safe, above 1 they run wild
BOS = 0  # the token before and after every document; the characters are 1, 2, 3, ...

# ---- 1. Slopes -------------------------------------------------------------------------------------------------------
# Learning asks one question of every weight: if you grew a little, how much would the loss grow? The answer is a slope,
# d loss / d weight. The chain rule finds all of them in one sweep from the loss back to the weights. So each operation
# below is a function in two halves. Down to its `yield` it computes y. There it pauses, and waits on the tape until
# y.grad, the slope of the loss along y, is known; then it goes on and passes to its inputs what they had to do with it.
tape = []


class Vector:
    """A row of numbers, `data`, and the slope of the loss along each of them, `grad`."""

    def __init__(self, data):
        self.data = data
        self.grad = [0.0] * len(data)

    def add_grad(self, scale, direction):
        """grad += scale * direction. Added, because what is used twice moves the loss in two ways."""
        self.grad = [g + scale * d for g, d in zip(self.grad, direction)]


def operation(two_halves):
    """Run the first half now, and leave the second on the tape."""

    def first_half(*inputs):
        tape.append(two_halves(*inputs))
        return next(tape[-1])

    return first_half


def backward(loss):
    """Run the second halves, last one first. It begins with d loss / d loss = 1."""
    loss.grad = [1.0]
    while tape:
        next(tape.pop(), None)


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def softmax(scores):
    """p[i] = exp(s[i]) / sum(exp(s)): scores become probabilities."""
    top = max(scores)  # a common factor of all exps cancels; exp(-top) keeps them from overflowing
    exps = [math.exp(s - top) for s in scores]
    total = sum(exps)
    return [e / total for e in exps]


@operation
def add(a, b):
    """y = a + b. Whatever y does to the loss, a and b each do too."""
    y = Vector([p + q for p, q in zip(a.data, b.data)])
    yield y
    a.add_grad(1.0, y.grad)
    b.add_grad(1.0, y.grad)


@operation
def linear(rows, x):
    """y[i] = rows[i] . x. A product: along x the slope of y[i] is rows[i], and along rows[i] it is x."""
    y = Vector([dot(row.data, x.data) for row in rows])
    yield y
    for row, d_y in zip(rows, y.grad):
        x.add_grad(d_y, row.data)
        row.add_grad(d_y, x.data)


@operation
def relu2(x):
    """y = max(x, 0)^2, with slope 2 max(x, 0). Without such a bend, two matrices in a row could do no more than one."""
    y = Vector([max(v, 0.0) ** 2 for v in x.data])
    yield y
    x.add_grad(2.0, [max(v, 0.0) * d_y for v, d_y in zip(x.data, y.grad)])


@operation
def rmsnorm(x):
    """y = x / r, where r = sqrt(mean(x^2) + 1e-5): x keeps its direction, and its size neither explodes nor fades.
    x[j] moves y[j] by 1 / r, and through r it moves all of y: d_x = (d_y - y mean(d_y y)) / r."""
    r = math.sqrt(dot(x.data, x.data) / len(x.data) + 1e-5)
    y = Vector([v / r for v in x.data])
    yield y
    x.add_grad(1 / r, y.grad)
    x.add_grad(-dot(y.grad, y.data) / len(x.data) / r, y.data)


@operation
def attend(query, keys, values):
    """y = sum of p[t] values[t], where p = softmax(query . keys[t] / sqrt(size)): look back, and mix what fits.
    Along p[t] the slope is d_p[t] = d_y . values[t]. But probabilities compete for their sum of 1, so what counts for
    a score is how far d_p[t] lies above their average: d_score[t] = p[t] (d_p[t] - p . d_p)."""
    scale = len(query.data) ** -0.5
    p = softmax([scale * dot(query.data, key.data) for key in keys])
    y = Vector([dot(p, column) for column in zip(*[value.data for value in values])])
    yield y
    d_p = [dot(y.grad, value.data) for value in values]
    for t, (key, value) in enumerate(zip(keys, values)):
        d_score = p[t] * (d_p[t] - dot(p, d_p))
        query.add_grad(scale * d_score, key.data)
        key.add_grad(scale * d_score, query.data)
        value.add_grad(p[t], y.grad)


@operation
def join(parts):
    """y = the parts, one after the other. Each takes its own stretch of the slopes."""
    y = Vector([v for part in parts for v in part.data])
    yield y
    slopes = iter(y.grad)
    for part in parts:
        part.add_grad(1.0, [next(slopes) for _ in part.data])


@operation
def cross_entropy(logits, targets):
    """loss = mean of -ln p[target]: our surprise at what really came. Its slope is the mistake: p, less 1 at target."""
    probs = [softmax(z.data) for z in logits]
    loss = Vector([sum(-math.log(p[target]) for p, target in zip(probs, targets)) / len(targets)])
    yield loss
    for z, p, target in zip(logits, probs, targets):
        z.add_grad(loss.grad[0] / len(targets), [p[i] - (i == target) for i in range(len(p))])


# ---- 2. The model ----------------------------------------------------------------------------------------------------
def new_model(vocab_size):
    """All the weights: for each name, rows drawn by chance. wo and fc2 start at 0, so at first a block adds nothing."""
    shapes = {"wte": (vocab_size, N_EMBD), "wpe": (BLOCK_SIZE, N_EMBD), "lm_head": (vocab_size, N_EMBD)}
    for layer in range(N_LAYER):
        shapes |= {f"{layer}.{name}": (N_EMBD, N_EMBD) for name in ("wq", "wk", "wv", "wo")}
        shapes |= {f"{layer}.fc1": (4 * N_EMBD, N_EMBD), f"{layer}.fc2": (N_EMBD, 4 * N_EMBD)}
    model = {}
    for name, (n_out, n_in) in shapes.items():
        std = 0.0 if name.endswith(("wo", "fc2")) else 0.02
        model[name] = [Vector([random.gauss(0, std) for _ in range(n_in)]) for _ in range(n_out)]
    return model


def gpt(model, tokens):
    """Logits: at each token, a score for every token that could come next."""
    xs = [rmsnorm(add(model["wte"][token], model["wpe"][t])) for t, token in enumerate(tokens)]  # what it is, and where
    for layer in range(N_LAYER):
        answers = attention(model, layer, [rmsnorm(x) for x in xs])  # ask the tokens so far,
        xs = [add(x, answer) for x, answer in zip(xs, answers)]
        fc1, fc2 = model[f"{layer}.fc1"], model[f"{layer}.fc2"]  # then think, each for itself
        xs = [add(x, linear(fc2, relu2(linear(fc1, rmsnorm(x))))) for x in xs]
    return [linear(model["lm_head"], x) for x in xs]


def attention(model, layer, xs):
    """With its own rows of the weights, each head asks (query), offers (key) and tells (value)."""
    size, heads = N_EMBD // N_HEAD, []
    for h in range(N_HEAD):
        wq, wk, wv = [model[f"{layer}.{name}"][h * size : (h + 1) * size] for name in ("wq", "wk", "wv")]
        queries, keys, values = [[linear(w, x) for x in xs] for w in (wq, wk, wv)]
        heads.append([attend(query, keys[: t + 1], values[: t + 1]) for t, query in enumerate(queries)])  # no peeking
    return [linear(model[f"{layer}.wo"], join(parts)) for parts in zip(*heads)]


# ---- 3. Learning -----------------------------------------------------------------------------------------------------
def start(path):
    """Shuffled documents, their alphabet, and a model that knows nothing. The seed makes every run the same run."""
    random.seed(42)
    with open(path, encoding="utf-8") as file:
        docs = [line.strip() for line in file if line.strip()]
    random.shuffle(docs)
    alphabet = sorted(set("".join(docs)))
    return docs, alphabet, new_model(1 + len(alphabet))


def train(model, alphabet, docs, num_steps):
    """A document a step: read it, guessing every next token, and move each weight a little downhill. Yields losses."""
    weights = [(row, [0.0] * len(row.data), [0.0] * len(row.data)) for rows in model.values() for row in rows]
    for step in range(num_steps):
        tokens = [BOS] + [1 + alphabet.index(character) for character in docs[step % len(docs)]] + [BOS]
        loss = cross_entropy(gpt(model, tokens[:-1][:BLOCK_SIZE]), tokens[1:][:BLOCK_SIZE])
        backward(loss)
        adam(weights, step + 1, LEARNING_RATE * (1 - step / num_steps))
        yield loss.data[0]


def adam(weights, t, rate, beta1=0.9, beta2=0.95, eps=1e-8):
    """w -= rate * m / sqrt(v): m, the mean of recent slopes, calms their noise; v, of their squares, evens the pace."""
    fix1, fix2 = 1 - beta1**t, 1 - beta2**t  # both means start at 0, too small by these factors
    for row, m, v in weights:
        for i, g in enumerate(row.grad):
            m[i] = beta1 * m[i] + (1 - beta1) * g
            v[i] = beta2 * v[i] + (1 - beta2) * g * g
            row.data[i] -= rate * (m[i] / fix1) / (math.sqrt(v[i] / fix2) + eps)
        row.grad = [0.0] * len(row.grad)


# ---- 4. Making up names ----------------------------------------------------------------------------------------------
def sample(model, alphabet):
    """Draw a next token by its probability and read on from there, until the model says that the name is over."""
    tokens = [BOS]
    while tokens.count(BOS) < 2 and len(tokens) <= BLOCK_SIZE:
        p = softmax([z / TEMPERATURE for z in gpt(model, tokens)[-1].data])
        tape.clear()  # nothing to learn here
        tokens += random.choices(range(len(p)), weights=p)
    return "".join(alphabet[token - 1] for token in tokens if token != BOS)


if __name__ == "__main__":
    docs, alphabet, model = start(DOCUMENTS)
    print(f"{len(docs)} documents; guessing costs ln {1 + len(alphabet)} = {math.log(1 + len(alphabet)):.3f} a token")
    losses = []
    for loss in train(model, alphabet, docs, NUM_STEPS):
        losses.append(loss)
        if len(losses) % 100 == 0:  # one name is luck, a hundred show the way
            print(f"step {len(losses):4}, loss {sum(losses[-100:]) / 100:.3f}")
    print(*[sample(model, alphabet) for _ in range(20)], sep="\n")
