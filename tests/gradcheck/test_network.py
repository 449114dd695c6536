"""check_network on whole networks: it names the layer and the tensor of a mistake, passes right networks, gives all back."""

import json
import re
import zlib

import numpy as np
import pytest

from tests.gradcheck.networks import FAULTS, RIGHT
from tinyvision import Op, Parameter, Tensor, nn
from tinyvision import functional as F
from tinyvision.gradcheck import CAUSES, NetworkReport, check_network
from tinyvision.models.lenet import LeNet5
from tinyvision.models.resnet_cifar import resnet20
from tinyvision.models.unet import UNet

# On demand, for others of the same kind, or with a mistake in the same place, run always.
SLOW = {"resnet_first_relu_open", "unet_skips_detached", "resnet_shortcut_twice", "unet_pool_gradient_to_first",
        "resnet_first_conv_weight_clipped", "lenet_conv_kernel_turned", "lenet_conv_weight_averaged",
        "lenet_conv_bias_first_picture", "resnet_conv_weight_channels_exchanged", "resnet_first_norm_forgets_weight", "flat_unet"}


# What the mistakes are called: the acceptable names of each.
NAMES = {
    "lenet_conv_weight_averaged": "constant-factor", "resnet_conv_weight_channels_exchanged": "transposed",
    "resnet_first_conv_weight_clipped": "nonlinear-upstream", "resnet_projection_weight_halved": "constant-factor",
    "unet_conv_weight_shifted": "shifted", "unet_valid_conv_weight_sign": "constant-factor",
    "unet_up_last_tap_forgotten": "wrong-slice", "lenet_conv_bias_first_picture": "overwritten wrong-slice batch-only",
    "unet_head_bias_first_row": "overwritten wrong-slice", "unet_up_bias_averaged": "constant-factor",
    "lenet_conv_kernel_turned": "flipped", "unet_up_kernel_turned": "flipped", "resnet_conv_windows_assigned": "overwritten",
    "unet_head_input_detached": "missing-gradient", "resnet_norm_evaluation_formula": "diagonal-only",
    "resnet_norm_weight_from_input": "wrong-local-derivative", "resnet_norm_bias_twice": "constant-factor",
    "resnet_first_norm_forgets_weight": "factor-per-axis", "unet_norm_mean_term_missing": "term-missing",
    "unet_norm_bias_zero": "zero-gradient", "lenet_activation_guided": "guided", "unet_relu_leaks": "mask-missing",
    "lenet_pool_gradient_to_all": "mask-missing", "unet_pool_gradient_to_first": "shifted", "lenet_dropout_redraws": "mask-redrawn",
    "unet_nearest_keeps_one": "overwritten", "lenet_linear_weight_last_sample": "overwritten wrong-slice",
    "lenet_linear_bias_twice": "constant-factor", "resnet_linear_weight_decay": "extra-term",
    "lenet_last_layer_detached": "missing-gradient", "lenet_flattened_backwards": "flipped",
    "resnet_global_mean_undivided": "constant-factor", "resnet_first_relu_open": "mask-missing",
    "unet_concatenation_swapped": "swapped-gradients", "unet_skips_detached": "term-missing",
    "resnet_shortcut_detached": "term-missing", "resnet_shortcut_twice": "constant-factor", "resnet_downsample_shifted": "shifted",
    "resnet_stage_gradient_negated": "constant-factor", "unet_double_conv_gradient_halved": "constant-factor",
    "unet_up_gradient_batch_reversed": "flipped",
}


def by_name(networks, slow=SLOW):
    """A test for each; the slow ones run on demand."""
    return [pytest.param(n, id=n.name, marks=[pytest.mark.slow] * (n.name in slow)) for n in networks]


def of_name(name):
    return next(n for n in [*FAULTS, *RIGHT] if n.name == name)


@pytest.fixture
def seed(request):
    """One for each test, from its name."""
    return zlib.crc32(request.node.name.encode())


# --- what it says


@pytest.mark.parametrize("fault", by_name(FAULTS))
def test_mistakes_are_found_in_their_place(fault, seed):
    net, x, loss = fault.drawn(seed)
    report = check_network(net, x, loss=loss)
    assert isinstance(report, NetworkReport) and not report
    assert (report.layer, report.tensor) == (fault.path, fault.tensor), f"{fault.why}\n{report}"
    assert report.cause in CAUSES and report.cause in NAMES[fault.name].split() and report.diagnosis, f"{fault.why}\n{report}"


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("network", by_name(RIGHT))
def test_right_networks_pass(network, seed):
    net, x, loss = network.drawn(seed)
    report = check_network(net, x, loss=loss)
    assert report, str(report)
    assert (report.layer, report.tensor, report.cause) == (None, "", "")
    called = {(path, type(m).__name__) for path, m in net.named_modules() if not isinstance(m, nn.ModuleList)}
    assert set(report.checked) == called and len(report.checked) == len(called)


@pytest.mark.parametrize("fault", by_name(FAULTS, slow=()))
def test_forward_passes_are_right(fault, seed):
    """Only gradients are wrong: with and without the mistake the loss is the same."""
    losses = []
    for net, x, loss in (fault.drawn(seed), fault.clean(seed)):
        losses.append(loss(net(Tensor(x))).item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-10)


def kinds(net):
    """The kinds of layers in a network; a list of modules is none, for nobody calls it."""
    return {type(m).__name__ for _, m in net.named_modules() if not isinstance(m, nn.ModuleList)}


@pytest.mark.parametrize("net", [LeNet5(), resnet20(), UNet(1, 2, 4, 2), UNet(1, 2, 4, 2, up="nearest")],
                         ids=["lenet", "resnet20", "unet", "nearest_unet"])
def test_every_kind_of_layer_has_a_mistake(net):
    wrong = {type(fault.clean()[0].get_submodule(fault.path)).__name__ for fault in FAULTS}
    assert len(kinds(net)) >= 5 and not kinds(net) - wrong


def test_every_network_has_mistakes():
    names = [n.name for n in [*FAULTS, *RIGHT]]
    assert len(names) == len(set(names)) and len(FAULTS) >= 40 and len(RIGHT) >= 12
    for model, least in (("lenet", 10), ("resnet", 12), ("unet", 15)):
        assert sum(fault.name.startswith(model) for fault in FAULTS) >= least
    assert {fault.tensor for fault in FAULTS} == {"input", "weight", "bias"} and all(fault.why for fault in FAULTS)


# --- small networks of our own


class Row(nn.Module):
    """Two linear layers with a tanh between, in single precision; `wrong` lets the first one's gradient be off by 2."""

    def __init__(self, wrong=False):
        self.first, self.bend, self.last = nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)
        if wrong:
            self.first.forward = lambda input: twice(F.linear(input, self.first.weight, self.first.bias))

    def forward(self, x):
        return self.last(self.bend(self.first(x)))


def twice(y):
    """y, with a gradient of 2."""
    return 2 * y - y.detach()


X = np.random.default_rng(5).standard_normal((3, 3))


def square(y):
    return (y * y).sum()


def test_all_layers_are_checked():
    report = check_network(Row(), X)
    assert sorted(report.checked) == [("", "Row"), ("bend", "Tanh"), ("first", "Linear"), ("last", "Linear")]


@pytest.mark.parametrize("wrong", [False, True])
def test_loss_comes_as_keyword_or_last_or_not_at_all(wrong):
    net = Row(wrong)
    reports = [check_network(net, X, loss=square), check_network(net, X, square), check_network(net, X)]
    assert [bool(report) for report in reports] == [not wrong] * 3
    assert {report.layer for report in reports} == {"first" if wrong else None}


def test_the_loss_sees_the_output():
    seen = []
    check_network(Row(), X, lambda y: seen.append(y.shape) or y.sum())
    assert (3, 2) in seen


@pytest.mark.parametrize("loss", [nn.MSELoss(), lambda y, t=None: y.mean()], ids=["module", "function"])
def test_losses_of_other_forms(loss):
    given = (lambda y: loss(y, np.zeros((3, 2)))) if isinstance(loss, nn.Module) else loss
    assert check_network(Row(), X, given)


class TwoInputs(nn.Module):
    """Features, and a table that integers look up."""

    def __init__(self):
        self.table, self.mix = nn.Embedding(5, 3), nn.Linear(3, 2)

    def forward(self, features, words):
        return self.mix(features * self.table(words))


def test_integer_inputs_are_not_differentiated():
    assert check_network(TwoInputs(), X, np.array([4, 0, 4]), square)


class Twice(nn.Module):
    """One linear layer, used twice, with a tanh between."""

    def __init__(self, wrong=False):
        self.layer = nn.Linear(3, 3)
        if wrong:
            self.layer.forward = lambda input: twice(F.linear(input, self.layer.weight, self.layer.bias))

    def forward(self, x):
        return self.layer(self.layer(x).tanh())


def test_a_shared_layer_is_checked_once_and_named():
    report = check_network(Twice(), X, square)
    assert report and [path for path, _ in report.checked] == ["layer", ""]
    report = check_network(Twice(wrong=True), X, square)
    assert not report and report.layer == "layer"


class WrongTheSecondTime(nn.Module):
    """The identity, whose gradient is wrong for large inputs only."""

    def forward(self, x):
        return twice(x) if np.abs(x.numpy()).max() > 50 else x * 1.0


class Growing(nn.Module):
    def __init__(self):
        self.layer = WrongTheSecondTime()

    def forward(self, x):
        return self.layer(100 * self.layer(x))


def test_both_uses_of_a_shared_layer_are_checked():
    report = check_network(Growing(), X, square)
    assert not report and report.layer == "layer"


class Idle(nn.Module):
    """Calls a layer and does nothing with its output."""

    def __init__(self):
        self.used, self.idle = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, x):
        self.idle(x)
        return self.used(x)


def test_a_layer_that_gets_no_gradient_is_noted():
    report = check_network(Idle(), X, square)
    assert report and any("idle" in note and "no gradient" in note for note in report.notes)
    assert not any("used" in note for note in report.notes) and "note: no gradient arrives at idle" in str(report)


# --- everything is given back


def state(net):
    """All that a check could leave changed, copied."""
    tensors = {name: (t._data, t.numpy().copy(), t.dtype, t.requires_grad, t.grad,
                      None if t.grad is None else t.grad.numpy().copy(), len(t._hooks or {}), t.op)
               for name, t in [*net.named_parameters(), *net.named_buffers()]}
    modules = {path: (m.training, len(m._forward_hooks), len(m._forward_pre_hooks), type(m)) for path, m in net.named_modules()}
    return tensors, modules


def assert_same(before, after):
    assert before[1] == after[1] and before[0].keys() == after[0].keys()
    for name, (array, values, *others, grad, hooks, op) in before[0].items():
        array2, values2, *others2, grad2, hooks2, op2 = after[0][name]
        assert array is array2 and values.tobytes() == values2.tobytes(), name
        assert others[:2] == others2[:2] and others[2] is others2[2] and hooks == hooks2 and op is op2, name
        assert grad is None and grad2 is None or grad.tobytes() == grad2.tobytes(), name


def lived_in(name, seed, single):
    """A network that has been in use: gradients from a pass, a layer in the other mode, one frozen, a hook of the user's."""
    net, x, loss = of_name(name).drawn(seed)
    if single:
        net.float()
    loss(net(Tensor(x, dtype=np.float32 if single else np.float64))).backward()
    modules, parameters = list(net.modules()), list(net.parameters())
    modules[len(modules) // 2].eval()
    modules[-1].register_forward_hook(lambda module, args, output: None)
    parameters[3].requires_grad = False
    parameters[0].grad = None
    return net, x, loss


@pytest.mark.parametrize("train, single", [(True, False), (False, True), (None, True)])
@pytest.mark.parametrize("name", ["drop_lenet", "unet_norm_bias_zero", "lenet_linear_bias_twice"])
def test_the_network_is_given_back(name, train, single, seed):
    net, x, loss = lived_in(name, seed, single)
    before, picture = state(net), x.copy()
    assert any(grad is not None for *_, grad, _, _ in before[0].values())
    check_network(net, x, loss=loss, train=train)
    assert_same(before, state(net))
    np.testing.assert_array_equal(x, picture)


@pytest.mark.parametrize("where", ["loss", "no number", "forward"])
def test_the_network_is_given_back_after_an_error(where, seed):
    net, x, _ = lived_in("unet", seed, single=True)
    before = state(net)

    def failing(y):
        raise ArithmeticError("not today")
    with pytest.raises({"loss": ArithmeticError, "no number": TypeError, "forward": ValueError}[where]):
        check_network(net, x[:, :, :15] if where == "forward" else x, loss=(lambda y: y) if where == "no number" else failing)
    assert_same(before, state(net))


def test_a_failing_layer_does_not_keep_its_hooks():
    """Checked twice, a wrong network fails twice in the same way."""
    net = Row(wrong=True)
    first, second = check_network(net, X, square), check_network(net, X, square)
    assert not first and str(first) == str(second)


def test_a_comparison_of_states_would_notice():
    """The helper of the tests above sees each kind of change."""
    changes = [lambda net: net.eval(), lambda net: net.first.register_forward_hook(lambda *a: None),
               lambda net: net.double(), lambda net: net(Tensor(X, dtype=np.float32)).sum().backward(),
               lambda net: np.add(net.last.bias.numpy(), 1, out=net.last.bias._data)]
    for change in changes:
        net = Row()
        before = state(net)
        assert_same(before, state(net))
        change(net)
        with pytest.raises(AssertionError):
            assert_same(before, state(net))


# --- errors and the report


def test_errors():
    with pytest.raises(TypeError, match="check_network: module must be a Module, got function"):
        check_network(square, X)
    with pytest.raises(TypeError, match="check_network: module must be a Module, got NoneType"):
        check_network(None, X)
    with pytest.raises(TypeError, match=r"loss must return one number as a Tensor, got Tensor of shape \(3, 2\)"):
        check_network(Row(), X, loss=lambda y: y)
    with pytest.raises(TypeError, match="loss must return one number as a Tensor, got float"):
        check_network(Row(), X, loss=lambda y: 1.0)
    with pytest.raises(TypeError, match="loss must return one number as a Tensor, got NoneType"):
        check_network(Row(), X, lambda y: None)


class Cut(nn.Module):
    def forward(self, x):
        return Tensor(np.ones(2))


def test_an_output_that_depends_on_nothing():
    with pytest.raises(RuntimeError):
        check_network(Cut(), X)


def test_the_report_in_words():
    assert str(check_network(Row(), X, square)) == "gradients agree: Row, 4 layers checked"
    text = str(check_network(Row(wrong=True), X, square))
    assert re.search(r"layer 'first' \(Linear\)", re.sub(r"\s+", " ", text), re.IGNORECASE)
    assert "WRONG" in text and "cause: constant-factor" in text and text.endswith("layers checked)")


@pytest.mark.parametrize("wrong", [False, True])
def test_the_report_for_programs(wrong):
    report = check_network(Row(wrong), X, square)
    found = json.loads(json.dumps(report.to_dict()))
    assert found["passed"] is not wrong and found["layer"] == ("first" if wrong else None)
    assert found["cause"] == ("constant-factor" if wrong else "") and ["first", "Linear"] in found["checked"]
    assert found["tensor"] == ("input" if wrong else "") and found["seconds"] > 0


class Between(Row):
    def forward(self, x):
        return self.last(twice(self.bend(self.first(x))))


def test_what_stands_between_parts_is_blamed_on_the_whole():
    diagnosis = check_network(nn.Sequential(Between(), nn.Tanh()), X, square).diagnosis
    assert diagnosis.startswith("layer '0' (Between)") and "All of its parts are right" in diagnosis
    assert check_network(Between(), X, square).diagnosis.startswith("the network itself (Between)")


class Bias(nn.Module):
    """A channel's bias by an Op of its own."""

    def __init__(self, rule):
        super().__init__()
        self.b, self.rule = Parameter(np.linspace(-1, 1, 3)), rule

    def forward(self, x):
        rule = self.rule

        class AddBias(Op):
            def forward(self, x, b):
                return x + b[:, None, None]

            def backward(self, g, x, b):
                return g, rule(g)
        return AddBias()(x, self.b)


@pytest.mark.parametrize("rule, cause", [(lambda g: g, "missing-sum"), (lambda g: g.sum(axis=(0, 2, 9)), "error")])
def test_a_layer_whose_backward_fails_is_named(rule, cause):
    """The network's own backward pass does not come to its end; the layer is found all the same."""
    rng = np.random.default_rng(8)
    net = nn.Sequential(nn.Conv2d(1, 3, 3), Bias(rule), nn.ReLU(), nn.Flatten(), nn.Linear(27, 2))
    report = check_network(net, rng.standard_normal((2, 1, 5, 5)), lambda y: (y * y).mean())
    assert not report and report.layer == "1" and report.cause == cause and not report.notes, str(report)
