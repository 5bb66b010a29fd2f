"""Every surprising behaviour of capture and replay that we know of, with the right answer.

Captured code either does what the same code does eagerly, or says that it can't. Quietly doing something else
is the one wrong answer.
"""

import logging
import random
import threading
from array import array

import pytest

import microgpt_core as mg
from microgpt_core import ops
from microgpt_core.engine.capture import Captured
from microgpt_core.engine.context import context
from microgpt_core.engine.region import Region
from microgpt_core.engine.value import Value
from microgpt_core.errors import CaptureError, ShapeError, StaleError
from microgpt_core.saving.model_folder import WEIGHTS, fill, write_model
from microgpt_core.text.char import Char


def x(*numbers):
    return mg.tensor(list(numbers))


def leaf(*numbers):
    return mg.tensor(list(numbers), requires_grad=True)


def is_clean():
    """Whether this thread is back where it began: eager, with gradients, in no scope."""
    return (context.trace, context.gradients, context.scope) == (None, True, ())


@pytest.fixture(autouse=True)
def the_context_is_left_clean():
    yield
    assert is_clean()


class TestOutputs:
    STALE = [
        lambda out: out.item(),
        lambda out: out.tolist(),
        lambda out: bool(out),
        lambda out: repr(out),
        lambda out: out.detach().item(),
        lambda out: out + 1,
        lambda out: ops.relu(out),
        lambda out: mg.capture(ops.relu, x(1.0))(out),
    ]

    @pytest.mark.parametrize("use", STALE)
    def test_an_output_is_stale_after_the_next_replay(self, use):
        step = mg.capture(lambda v: v * 2, x(1.0))
        out = step(x(1.0))
        use(out)
        step(x(5.0))
        with pytest.raises(StaleError, match="overwritten by a later replay; read it"):
            use(out)

    def test_outputs_collected_in_a_list_are_stale_but_for_the_last(self):
        step = mg.capture(lambda v: v * 2, x(1.0))
        losses = [step(x(float(i))) for i in range(3)]
        assert losses[-1].item() == 4.0
        with pytest.raises(StaleError):
            [loss.item() for loss in losses]
        assert [step(x(float(i))).item() for i in range(3)] == [0.0, 2.0, 4.0]

    def test_a_replay_in_the_same_region_overwrites_and_one_elsewhere_does_not(self):
        region = Region()
        first, second = (mg.capture(lambda v: v * 2, x(1.0), region=region) for _ in range(2))
        elsewhere = mg.capture(lambda v: v * 2, x(1.0))
        out = first(x(1.0))
        elsewhere(x(5.0))
        assert out.item() == 2.0
        second(x(5.0))
        with pytest.raises(StaleError):
            out.item()

    def test_a_replay_that_failed_has_overwritten_too(self):
        table = mg.tensor([[1.0], [2.0]])
        step = mg.capture(lambda ids: ops.embedding(ids, table), mg.tensor([0], "int32"))
        out = step(mg.tensor([1], "int32"))
        with pytest.raises(mg.MicrogptError, match="id 7"):
            step(mg.tensor([7], "int32"))
        with pytest.raises(StaleError):
            out.item()
        assert step(mg.tensor([1], "int32")).item() == 2.0  # the region is free again

    def test_an_output_has_no_history(self):
        w = leaf(3.0)
        out = mg.capture(lambda v: v * w, x(1.0))(x(2.0))
        with pytest.raises(CaptureError, match=r"came from a replay \(call backward\(\) in the captured function\)"):
            out.backward()

    def test_inputs_can_be_returned(self):
        swap = mg.capture(lambda a, b: (b, a, a), x(0.0), x(0.0))
        assert [t.item() for t in swap(x(1.0), x(2.0))] == [2.0, 1.0, 1.0]

    def test_outputs_can_go_back_in_though_they_lie_where_inputs_go(self):
        swap = mg.capture(lambda a, b: (b, a), x(0.0), x(0.0))
        pair = x(1.0), x(2.0)
        for _ in range(3):
            pair = swap(*pair)
        assert [t.item() for t in pair] == [2.0, 1.0]
        rotate = mg.capture(lambda a, b, c: (b * 1, c * 1, a * 1), *[x(0.0)] * 3)
        triple = rotate(x(1.0), x(2.0), x(3.0))
        assert [t.item() for t in rotate(*triple)] == [3.0, 1.0, 2.0]
        triple = rotate(x(1.0), x(2.0), x(3.0))
        views = [mg.tensor(t.data) for t in triple]  # no longer known for outputs, but in the region all the same
        assert [t.item() for t in rotate(*views)] == [3.0, 1.0, 2.0]

    def test_watched_values_are_stale_after_the_next_replay_in_the_region_and_before_the_first(self):
        region, model = Region(), mg.GPT(vocab_size=3, block_size=2, n_head=1, n_embd=2)
        model.allocate()
        ids = mg.tensor([[0, 1]], "int32")
        first = mg.capture(model, ids, ids, watch=["lm_head"], region=region).replay_for(ids, ids)
        with pytest.raises(StaleError, match="no replay has computed the watched values yet"):
            first.watched()
        first(ids, ids)
        assert list(first.watched()) == ["lm_head"]
        mg.capture(lambda v: v * 2, x(1.0), region=region)(x(1.0))
        with pytest.raises(StaleError, match="or a later one has overwritten them"):
            first.watched()
        first(ids, ids)
        assert first.watched()["lm_head"].shape == (1, 2, 3)

    def test_parameters_can_be_returned_and_are_never_stale(self):
        w = leaf(3.0)

        def step(v):
            (v * w).backward()
            return w, w.grad

        captured = mg.capture(step, x(1.0))
        returned, gradient = captured(x(2.0))
        captured(x(5.0))
        assert (returned.item(), gradient.item()) == (3.0, 7.0)

    def test_what_was_never_computed_can_not_be_returned(self):
        with pytest.raises(CaptureError, match="returned a tensor that nothing in this capture has computed"):
            mg.capture(lambda v: mg.Tensor(Value((1,), "f")), x(1.0))


class TestDecisions:
    READS = [
        lambda v, w: v.item(),
        lambda v, w: (v * w).item(),
        lambda v, w: v.tolist(),
        lambda v, w: bool(v),
        lambda v, w: 1 if v else 2,
        lambda v, w: w.item(),  # has a number, which the plan would never look at again
        lambda v, w: w.tolist(),
        lambda v, w: not w,
    ]

    @pytest.mark.parametrize("read", READS)
    def test_numbers_can_not_be_asked_for_in_a_capture(self, read):
        w = x(3.0)
        with pytest.raises(CaptureError, match="asked for in a capture, where there are only shapes"):
            mg.capture(lambda v: read(v, w), x(1.0))
        assert w.item() == 3.0

    def test_data_is_not_there_in_a_capture_and_printing_is_harmless(self):
        shown = []
        with pytest.raises(CaptureError, match="has no numbers yet"):
            mg.capture(lambda v: v.data, x(1.0))
        mg.capture(lambda v: shown.append(repr(v * 2)), x(1.0))
        assert shown == ["tensor(float32 (1,), no numbers yet)"]

    def test_shapes_can_be_asked_for(self):
        double = Captured(lambda v: v * 2 if v.shape == (1,) else v * 3, quiet=True)
        assert double(x(1.0)).tolist() == [2.0]
        assert double(x(1.0, 1.0)).tolist() == [3.0, 3.0]

    @pytest.mark.parametrize("passed", [0.5, 3, True, "a", [x(1.0), 0.5], {"lr": 0.5}, array("f", [1.0])])
    def test_a_python_value_can_not_be_passed(self, passed):
        with pytest.raises(
            CaptureError, match=r"takes and returns tensors, found .* frozen into the plan; pass mg.tensor"
        ):
            mg.capture(lambda v: None, passed)
        step = mg.capture(lambda v: None, x(1.0))
        with pytest.raises(CaptureError, match="takes and returns tensors"):
            step(passed)

    def test_a_python_value_can_not_be_returned(self):
        with pytest.raises(CaptureError, match=r"found 1 \(int\)"):
            mg.capture(lambda v: (v, 1), x(1.0))

    def test_a_python_value_closed_over_is_frozen(self):
        lr = [0.5]
        step = mg.capture(lambda v: v * lr[0] + lr[0], x(1.0))
        lr[0] = 100.0
        assert step(x(2.0)).item() == 1.5

    def test_side_effects_happen_once_at_the_capture(self):
        seen = []
        step = mg.capture(lambda v: [seen.append(v), v * 2][1], x(1.0))
        for _ in range(3):
            step(x(1.0))
        assert len(seen) == 1

    LEAKED = [lambda t: t.item(), lambda t: t.tolist(), lambda t: t + 1, lambda t: ops.sum(t), lambda t: t.data]

    @pytest.mark.parametrize("use", LEAKED)
    def test_a_tensor_that_escaped_from_a_capture_has_no_numbers(self, use):
        seen = []
        step = mg.capture(lambda v: seen.append(v * 2), x(1.0))
        step(x(1.0))
        with pytest.raises(CaptureError, match="has no numbers yet: in a capture there are only shapes"):
            use(seen[0])

    def test_a_tensor_that_escaped_can_not_enter_another_capture(self):
        seen = []
        mg.capture(lambda v: seen.append(v * 2), x(1.0))
        with pytest.raises(CaptureError, match="reads a, which nothing in this capture has computed"):
            mg.capture(lambda v: seen[0] + v, x(1.0))
        with pytest.raises(CaptureError, match="has no numbers yet"):
            mg.capture(lambda v: v, x(1.0))(seen[0])


class TestShapes:
    def test_new_shapes_are_captured_again_and_it_is_said(self, caplog):
        step = mg.capture(lambda v: v * 2, x(1.0))
        with caplog.at_level(logging.WARNING):
            step(x(1.0))
            assert caplog.messages == []
            assert step(x(1.0, 2.0)).tolist() == [2.0, 4.0]
            assert step(mg.tensor([3.0], "float64")).tolist() == [6.0]
            step(x(1.0, 2.0))
        assert caplog.messages == [
            "captured again, plan 2, for inputs float32 (2,)",
            "captured again, plan 3, for inputs float64 (1,)",
        ]

    def test_or_not_said(self, caplog):
        step = mg.capture(lambda v: v * 2, x(1.0), quiet=True)
        step(x(1.0, 2.0))
        assert caplog.messages == []

    def test_a_plan_is_made_with_gradients_or_without(self):
        w = leaf(3.0)

        def step(v):
            loss = v * w
            if loss.requires_grad:
                loss.backward()
            return loss

        captured = Captured(step, quiet=True)
        with mg.no_grad():
            assert captured(x(2.0)).item() == 6.0
        assert w.grad is None
        captured(x(2.0))
        assert w.grad.item() == 2.0
        with mg.no_grad():
            captured(x(2.0))
        assert w.grad.item() == 2.0


class TestMemory:
    def test_a_model_needs_memory_before_it_is_captured_and_none_to_be_planned(self):
        model = mg.GPT(vocab_size=3, block_size=2, n_head=1, n_embd=2)
        model.set_precision("float32")
        ids = mg.tensor([[0, 1]], "int32")
        assert mg.plan_of(model, ids, ids).calls
        with pytest.raises(CaptureError, match=r"wte.weight, float32 \(3, 2\), has no numbers yet.*model.allocate\(\)"):
            mg.capture(model, ids, ids)
        with pytest.raises(CaptureError, match="wte.weight"):
            model(ids, ids)
        model.allocate()
        assert mg.capture(model, ids, ids)(ids, ids).shape == (1, 2, 3)
        assert model(ids, ids).shape == (1, 2, 3)

    def test_parameters_that_got_other_memory_are_noticed(self):
        model = mg.GPT(vocab_size=3, block_size=2, n_head=1, n_embd=2)
        model.allocate()
        ids = mg.tensor([[0, 1]], "int32")
        captured = mg.capture(model, ids, ids)
        model.allocate()
        with pytest.raises(CaptureError, match="wte.weight, .* got other memory after this plan was captured; capture"):
            captured(ids, ids)

    def test_parameters_loaded_after_a_capture_into_the_same_memory_are_used(self):
        models = [mg.GPT(vocab_size=3, block_size=2, n_head=1, n_embd=2, init_output_std=0.5) for _ in range(2)]
        for seed, model in enumerate(models):
            model.allocate()
            model.initialise(random.Random(seed))
        ids = mg.tensor([[0, 1]], "int32")
        captured, wanted = mg.capture(models[0], ids, ids), models[1](ids, ids).tolist()
        assert captured(ids, ids).tolist() != wanted
        for name, buffer in models[1].state().items():
            mg.flat(models[0].state()[name])[:] = mg.flat(buffer)
        assert captured(ids, ids).tolist() == wanted

    def test_parameters_read_from_a_file_into_other_memory_are_noticed(self, tmp_path):
        model = mg.GPT(vocab_size=3, block_size=2, n_head=1, n_embd=2)
        model.allocate()
        write_model(tmp_path, model, Char().train(["ab"]))
        ids = mg.tensor([[0, 1]], "int32")
        captured = mg.capture(model, ids, ids)
        fill(model, tmp_path / WEIGHTS)
        with pytest.raises(CaptureError, match="got other memory after this plan was captured; capture it again"):
            captured(ids, ids)
        assert mg.capture(model, ids, ids)(ids, ids).shape == (1, 2, 3)

    def test_a_parameter_put_in_the_place_of_another_is_not_seen_as_any_python_object(self):
        class Scale:
            w = leaf(2.0)

        step = mg.capture(lambda v: v * Scale.w, x(1.0))
        Scale.w = leaf(100.0)
        assert step(x(3.0)).item() == 6.0  # as a number that is closed over; fill the parameter itself instead

    def test_an_input_is_a_copy_so_what_happens_to_it_later_does_not_matter(self):
        numbers = array("f", [1.0])
        given = mg.tensor(numbers)
        out = mg.capture(lambda v: (v, v * 2), given)(given)
        numbers[0] = 50.0
        assert [t.item() for t in out] == [1.0, 2.0]

    def test_what_is_closed_over_is_read_as_it_is_at_each_replay(self):
        numbers = array("f", [1.0])
        outside = mg.tensor(numbers)
        step = mg.capture(lambda v: v * outside, x(1.0))
        assert step(x(3.0)).item() == 3.0
        numbers[0] = 50.0
        assert step(x(3.0)).item() == 150.0

    def test_an_eager_result_closed_over_keeps_its_numbers_and_passes_gradients_on(self):
        w = leaf(2.0)
        h = w * 3  # computed once, before the capture
        step = mg.capture(lambda v: (v * h).backward(), x(1.0))
        step(x(5.0))
        assert w.grad.item() == 15.0
        step(x(5.0))
        assert w.grad.item() == 30.0
        mg.flat(w.data)[0] = 100.0
        assert mg.capture(lambda v: v * h, x(1.0))(x(1.0)).item() == 6.0

    def test_a_result_closed_over_is_refused_as_soon_as_it_is_gone(self):
        first = mg.capture(lambda v: v * 2, x(1.0))
        out = first(x(1.0))
        elsewhere = mg.capture(lambda v: v + out, x(1.0))
        assert elsewhere(x(1.0)).item() == 3.0
        first(x(7.0))
        with pytest.raises(StaleError):
            elsewhere(x(1.0))
        out = first(x(1.0))
        with pytest.raises(StaleError):  # its own replay would overwrite it
            mg.capture(lambda v: v + out, x(1.0), region=first.region)(x(1.0))

    def test_an_input_can_not_be_changed_in_place(self):
        with pytest.raises(CaptureError, match="zero.forward changes x, an input .* of which a replay gets a copy"):
            mg.capture(lambda v: ops.zero(v), x(1.0))

    @pytest.mark.parametrize(
        "given", [lambda w: w, lambda w: w.detach(), lambda w: w.grad], ids=["w", "detached", "grad"]
    )
    def test_an_input_can_not_be_what_the_function_changes_in_place(self, given):
        """Eagerly it would see the change; a replay has copied it before."""
        w, one = leaf(2.0), x(1.0)

        def step(v):
            (w * v).backward()
            ops.sgd_update(w, w.grad, one, one, one)
            return v * 1

        step(x(1.0))
        captured = mg.capture(step, x(1.0))
        w.requires_grad = False
        with pytest.raises(CaptureError, match="an input is .*, which this plan changes in place, .* close over it"):
            captured(given(w))
        assert captured(x(3.0)).item() == 3.0  # the region is free

    def test_an_input_may_be_what_the_function_reads(self):
        w = x(3.0)
        assert mg.capture(lambda v: v * w, x(1.0))(w).item() == 9.0

    def test_state_closed_over_is_changed_in_place(self):
        counter, one = x(0.0), x(1.0)

        def step(lr):
            ops.sgd_update(counter, one, one, lr, one)

        captured = mg.capture(step, x(1.0))
        assert counter.item() == 0.0  # a capture runs nothing
        for _ in range(3):
            captured(x(-2.0))
        assert counter.item() == 6.0


class TestMadeInside:
    def test_a_tensor_made_inside_is_a_constant(self):
        step = mg.capture(lambda v: v * mg.tensor([3.0]) + 1.0, x(1.0))
        assert [step(x(float(i))).item() for i in range(3)] == [1.0, 4.0, 7.0]

    def test_its_gradient_begins_at_zero_each_time_as_eager_code_has_it(self):
        def slope(v):
            w = leaf(2.0)
            (w * w * v).backward()
            (w * v).backward()
            return w.grad

        assert slope(x(3.0)).item() == 15.0
        captured = mg.capture(slope, x(1.0))
        assert [captured(x(3.0)).item() for _ in range(3)] == [15.0] * 3

    def test_it_can_not_be_changed_in_place(self):
        with pytest.raises(CaptureError, match="zero.forward changes x, a tensor made inside .* make it outside"):
            mg.capture(lambda: ops.zero(x(1.0)))

    def test_a_value_computed_inside_can_be(self):
        def step(v):
            y = v * 2
            z = y * 1
            ops.zero(y)
            return y, z

        assert [t.item() for t in mg.capture(step, x(1.0))(x(3.0))] == [t.item() for t in step(x(3.0))] == [0.0, 6.0]


class TestGradients:
    def test_an_input_can_not_require_grad(self):
        w = leaf(2.0)
        step = Captured(lambda v: (v * w).backward())
        for given in (leaf(1.0), leaf(1.0) * 2):
            with pytest.raises(CaptureError, match=r"an input has requires_grad, .* or pass x.detach\(\)"):
                step(given)
            step(given.detach())

    def test_what_is_learned_is_decided_at_the_capture(self):
        w = leaf(2.0)
        step = mg.capture(lambda v: (v * w).backward(), x(1.0))
        w.requires_grad = False
        step(x(3.0))
        assert w.grad.item() == 3.0  # freeze first, then capture

    def test_backward_twice_in_one_capture(self):
        def gradients(f):
            w = leaf(2.0)
            f = f(w)
            f(x(3.0))
            f(x(3.0))
            return w.grad.item()

        def eager(w):
            def step(v):
                loss = w * w * v
                loss.backward()
                loss.backward()
                return loss

            return step

        assert gradients(eager) == gradients(lambda w: mg.capture(eager(w), x(1.0))) == 48.0

    def test_zeroing_before_the_first_backward_is_part_of_the_plan(self):
        w = leaf(2.0)

        def step(v):
            w.zero_grad()
            (v * w).backward()

        captured = mg.capture(step, x(1.0))
        for _ in range(3):
            captured(x(3.0))
        assert w.grad.item() == 3.0

    def test_an_update_is_ordered_after_what_it_follows(self):
        w, one = leaf(2.0), x(1.0)

        def step(v):
            before = v * w
            before.backward()
            ops.sgd_update(w, w.grad, one, one, one)
            after = v * w
            w.zero_grad()
            return before, after

        eager = [t.item() for t in step(x(3.0))]
        mg.flat(w.data)[0] = 2.0
        assert [t.item() for t in mg.capture(step, x(1.0))(x(3.0))] == eager == [6.0, -3.0]


class TestNesting:
    def test_a_capture_inside_a_capture_is_refused(self):
        with pytest.raises(CaptureError, match="a capture inside a capture; call the function itself there"):
            mg.capture(lambda v: mg.capture(lambda u: u * 2, v)(v), x(1.0))

    def test_a_captured_function_called_in_a_capture_becomes_part_of_it(self):
        inner = mg.capture(lambda v: v * 2, x(1.0))
        outer = mg.capture(lambda v: inner(v) + inner(v * 10), x(1.0))
        assert [c.op.name for c in outer.plan.calls] == ["scale", "scale", "scale", "add"]
        assert outer(x(1.0)).item() == 22.0
        assert inner(x(4.0)).item() == 8.0

    def test_a_replay_inside_a_capture_is_refused(self):
        replay = mg.capture(lambda: x(1.0) * 2).replay_for()
        with pytest.raises(CaptureError, match="would run now and be frozen"):
            mg.capture(lambda: replay()[0])

    def test_two_replays_in_one_region_at_once_are_refused(self):
        class Again(mg.Op):
            def shapes(self, x):
                return {"out": x}

            def forward(self, out, x):
                step(mg.tensor([1.0]))

        step = mg.capture(lambda v: Again()(v), x(1.0))
        with pytest.raises(
            CaptureError, match="two replays in one region at once; give the second a region of its own"
        ):
            step(x(1.0))
        assert not step.region.busy.locked()

    def test_a_replay_may_run_eager_ops_and_other_replays(self):
        other = mg.capture(lambda v: v * 2, x(1.0))

        class Outward(mg.Op):
            def shapes(self, x):
                return {"out": x}

            def forward(self, out, x):
                out[0] = other(mg.tensor([x[0]])).item() + (mg.tensor([x[0]]) * 3).item()

        assert mg.capture(lambda v: Outward()(v), x(1.0))(x(10.0)).item() == 50.0


class TestExceptions:
    def test_an_exception_in_a_captured_function_leaves_nothing_behind(self):
        def fails(v):
            with mg.scope("a"), mg.no_grad():
                v * 2
                raise KeyError("mine")

        step = Captured(fails)
        for _ in range(2):
            with pytest.raises(KeyError, match="mine"):
                step(x(1.0))
            assert is_clean()
        assert step.captures == 0
        assert (x(2.0) * 2).item() == 4.0

    def test_wrong_shapes_are_found_at_the_capture(self):
        with pytest.raises(ShapeError, match="mul: b has shape"):
            mg.capture(lambda v: v * x(1.0, 2.0), x(1.0))
        assert is_clean()


class TestThreads:
    def test_every_thread_has_a_context_of_its_own(self):
        inside, done, found = threading.Event(), threading.Event(), []

        def eager():
            inside.wait(10)
            found.append((x(2.0) * 2).item())  # computed, though the other thread captures
            found.append((leaf(2.0) * 2).requires_grad)  # with gradients, though the other has none
            done.set()

        def step(v):
            inside.set()
            assert done.wait(10)
            return v * 2

        thread = threading.Thread(target=eager)
        thread.start()
        with mg.no_grad(), mg.scope("here"):
            plan = mg.plan_of(step, x(1.0))
        thread.join()
        assert found == [4.0, True], "the other thread didn't get far"
        assert len(plan.calls) == 1

    def test_threads_replay_side_by_side_in_regions_of_their_own(self):
        results = {}

        def work(n):
            step = mg.capture(lambda v: ops.softmax(v * 2) * float(n), x(1.0, 2.0))
            results[n] = [step(x(float(i), 1.0)).tolist() for i in range(50)]

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for n in range(4):
            assert results[n] == [(ops.softmax(x(float(i), 1.0) * 2) * float(n)).tolist() for i in range(50)]

    def test_a_second_thread_in_one_region_is_refused(self):
        inside, leave = threading.Event(), threading.Event()

        class Waits(mg.Op):
            def shapes(self, x):
                return {"out": x}

            def forward(self, out, x):
                inside.set()
                assert leave.wait(10)

        step = mg.capture(lambda v: Waits()(v), x(1.0))
        thread = threading.Thread(target=step, args=(x(1.0),))
        thread.start()
        try:
            assert inside.wait(10)
            with pytest.raises(CaptureError, match="two replays in one region at once"):
                step(x(1.0))
        finally:
            leave.set()
            thread.join()


class TestCustomLoop:
    """The same training step, eager and captured: the same bits after every step."""

    def weights(self, captured):
        w = mg.tensor([[0.5, -0.25], [0.125, 1.0]], requires_grad=True)
        b = leaf(0.0, 0.5)
        velocity = [mg.tensor([[0.0] * 2] * 2), x(0.0, 0.0)]
        one, seen = x(1.0), []

        def train_step(inputs, targets, lr):
            for p in (w, b):
                p.zero_grad()
            loss = ops.cross_entropy(ops.relu2(ops.linear(inputs, w, b)) * 0.5, targets)
            loss.backward()
            norm = ops.global_norm(w.grad)
            factor = ops.clip_factor(norm, max_norm=0.3)
            for p, m in zip((w, b), velocity):
                ops.sgd_update(p, p.grad, factor, lr, one, m, momentum=0.9, nesterov=True)
            return loss, norm

        rows = [[[1.0, 2.0], [0.5, -1.0], [3.0, 0.0]], [[0.25, 2.5], [1.5, -1.0], [1.0, 1.0]]]
        first = mg.tensor(rows[0]), mg.tensor([0, 1, 1], "int32"), x(0.1)
        step = mg.capture(train_step, *first) if captured else train_step
        for i in range(8):
            batch = mg.tensor(rows[i % 2]), mg.tensor([0, 1, i % 2], "int32"), x(0.1 / (i + 1))
            loss, norm = step(*batch)
            seen.append((loss.item(), norm.item(), *(bytes(t.data) for t in (w, b, w.grad, b.grad, *velocity))))
        return seen

    def test_equals_the_eager_loop_bit_for_bit(self):
        eager, captured = self.weights(captured=False), self.weights(captured=True)
        assert captured == eager
        assert len({row[2] for row in eager}) == 8  # it does learn
