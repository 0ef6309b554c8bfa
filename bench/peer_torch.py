"""Times the model of saint in PyTorch on what `saint bench export` wrote, and checks that it
computes the same: losses, scores before training, scores after.

    saint bench export --preset flickr-like --out /tmp/flickr-like
    python bench/peer_torch.py /tmp/flickr-like --what step,eval,train --json

With --device cuda everything lies on the GPU: cuSPARSE's CSR matrices are made outside the timed part,
products are TensorFloat-32 (--precision fp32 or bf16 for others), Adam is fused, and besides
torch.compile the steps are tried as CUDA graphs, one for each subgraph.

Every variant that PyTorch offers is tried and the fastest reported: MKL's product of a CSR
matrix against the library's own, weights of a layer's hops side by side in one product or
apart, torch.compile or not. Transposes, degrees and indices are made outside the timed part.
"""
import argparse
import json
import os
import statistics
import sys
import time
import warnings

# Settings of the shell that would slow a peer down, or make its threads fewer.
for name in list(os.environ):
    if name.startswith(("OMP_", "OPENBLAS_", "MKL_", "GOMP_", "KMP_")):
        del os.environ[name]

# Freed memory is kept and huge pages are asked for: otherwise every large tensor of every
# step is a new mapping, filled page by page. The C library reads this when it starts.
KEEP = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_TOP_PAD_": str(1 << 28),
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
if __name__ == "__main__" and "--plain_malloc" not in sys.argv and any(os.environ.get(k) != v for k, v in KEEP.items()):
    os.environ.update(KEEP)
    os.execv(sys.executable, [sys.executable] + sys.argv)

import numpy as np  # noqa: E402
import pyarrow.ipc  # noqa: E402
import scipy.sparse as sp  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

warnings.filterwarnings("ignore", message=".*Sparse CSR tensor support.*")
KERNEL = "mkl"  # or "reduce": which sparse product spmm uses


@torch.library.custom_op("peer::spmm", mutates_args=())
def spmm(indptr: torch.Tensor, indices: torch.Tensor, values: torch.Tensor, t_indptr: torch.Tensor,
         t_indices: torch.Tensor, t_values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """A x for a square CSR matrix A, whose transpose comes along for the backward pass."""
    n = indptr.numel() - 1
    a = torch.sparse_csr_tensor(indptr, indices, values, (n, n), check_invariants=False)
    if KERNEL == "reduce":
        return torch.sparse.mm(a, x, "sum") if not x.is_cuda else torch.sparse.mm(a, x)
    with torch.autocast(x.device.type, enabled=False):  # sparse products are of single precision
        return (a @ x.to(values.dtype)).to(x.dtype)


@spmm.register_fake
def _(indptr, indices, values, t_indptr, t_indices, t_values, x):
    return torch.empty_like(x)


def _setup(ctx, inputs, output):
    ctx.save_for_backward(*inputs[:6])


def _backward(ctx, grad):
    a, b, c, d, e, f = ctx.saved_tensors
    return (None,) * 6 + (spmm(d, e, f, a, b, c, grad.contiguous()),)


spmm.register_autograd(_backward, setup_context=_setup)


DEVICE = "cpu"


def put(x):
    """A tensor, or several, on the device."""
    return tuple(put(t) for t in x) if isinstance(x, tuple) else x.to(DEVICE)


def wait():
    """Work that was given to a GPU is done when this returns."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def csr(m):
    """The six tensors of a scipy matrix and its transpose."""
    t = m.T.tocsr()
    t.sort_indices()
    return tuple(torch.from_numpy(np.ascontiguousarray(x)) for x in (
        m.indptr.astype(np.int32), m.indices.astype(np.int32), m.data.astype(np.float32),
        t.indptr.astype(np.int32), t.indices.astype(np.int32), t.data.astype(np.float32)))


def tail(z, bias, scale, offset, act):
    """What follows the products of a hop."""
    z = ACTS[act](z + bias)
    return z if scale is None else F.layer_norm(z, (z.shape[1],), scale, offset, 1e-9)


ACTS = {"relu": F.relu, "I": lambda z: z, "leaky_relu": lambda z: F.leaky_relu(z, 0.2)}


class Model(torch.nn.Module):
    """GraphSAINT's layers with the parameters of an export."""

    def __init__(self, spec, params, dropout, fused, parts):
        super().__init__()
        self.spec, self.dropout, self.fused = spec, dropout, fused
        self.drop, self.tail = F.dropout, tail
        if parts:
            self.drop, self.tail = torch.compile(F.dropout, dynamic=True), torch.compile(tail, dynamic=True)
        self.orders = spec["arch"] + [0]
        names = ["layers.%d" % i for i in range(len(spec["arch"]))] + [classifier(params)]
        self.layers = torch.nn.ModuleList()
        for name, order in zip(names, self.orders):
            hops = [{k: params.pop("%s.hops.%d.%s" % (name, i, k)) for k in ("weight", "bias", "scale", "offset")
                     if "%s.hops.%d.%s" % (name, i, k) in params} for i in range(order + 1)]
            layer = torch.nn.ParameterDict()
            weights = [h.pop("weight") for h in hops]
            if fused:
                layer["weight"] = torch.nn.Parameter(torch.cat(weights, 1).contiguous())
            else:
                for i, w in enumerate(weights):
                    layer["weight%d" % i] = torch.nn.Parameter(w)
            for i, h in enumerate(hops):
                for k, v in h.items():
                    layer["%s%d" % (k, i)] = torch.nn.Parameter(v.reshape(-1))
            self.layers.append(layer)
        if params:
            sys.exit("parameters that this script does not know: %s" % ", ".join(params))

    def hop(self, layer, i, z, act):
        return self.tail(z, layer["bias%d" % i], layer.get("scale%d" % i), layer.get("offset%d" % i), act)

    def weight(self, layer, i, dim):
        return layer["weight"][:, i * dim:(i + 1) * dim] if self.fused else layer["weight%d" % i]

    def forward(self, x, a):
        for n, (layer, order) in enumerate(zip(self.layers, self.orders)):
            last = n == len(self.layers) - 1
            if last:
                x = F.normalize(x, dim=1, eps=1e-12)
            act = "I" if last else self.spec["act"]
            if self.training and self.dropout > 0:
                x = self.drop(x, self.dropout)
            dim = layer["bias0"].numel()
            if order == 0:
                x = self.hop(layer, 0, x @ self.weight(layer, 0, dim), act)
                continue
            # A (X W) or (A X) W, whichever has less sparse work.
            first = 2 * x.shape[1] < (order + 1) * dim
            if self.fused and not first:
                z = list((x @ layer["weight"]).split(dim, 1))
                for i in range(1, order + 1):
                    for _ in range(i):
                        z[i] = spmm(*a, z[i].contiguous())
            else:
                z, h = [], x
                for i in range(order + 1):
                    if i > 0 and first:
                        h = spmm(*a, h)
                    p = (h if first else x) @ self.weight(layer, i, dim)
                    for _ in range(0 if first else i):
                        p = spmm(*a, p)
                    z.append(p)
            parts = [self.hop(layer, i, p, act) for i, p in enumerate(z)]
            x = torch.cat(parts, 1) if self.spec["aggr"] == "concat" else sum(parts)
        return x


def classifier(params):
    """The name of the layer that is none of the hidden ones."""
    return sorted({k.split(".hops.")[0] for k in params if not k.startswith("layers.")})[0]


class Export:
    """What `saint bench export` wrote."""

    def __init__(self, path):
        self.path = path
        self.spec = json.load(open(os.path.join(path, "expect.json")))
        array = lambda name: np.load(os.path.join(path, name + ".npy"), mmap_mode=None)  # noqa: E731
        self.features = put(torch.from_numpy(array("features")))
        labels = array("labels")
        self.multi = labels.ndim == 2
        self.labels = labels
        self.target = torch.from_numpy(labels.astype(np.float32 if self.multi else np.int64))
        if self.spec["loss"] == "sigmoid" and not self.multi:
            self.target = F.one_hot(self.target.clamp(min=0), self.spec["classes"]).float()
        self.splits = {s: array(s + "_nodes") for s in ("train", "val", "test")}
        self.array = array

    def params(self):
        return {k: v.clone() for k, v in load_file(os.path.join(self.path, "init.safetensors")).items()}

    def batches(self, count):
        out = []
        for record in pyarrow.ipc.open_stream(os.path.join(self.path, "batches.arrows")):
            if len(out) == count:
                break
            col = lambda name: record[name][0].values.to_numpy()  # noqa: E731
            nodes = torch.from_numpy(col("nodes").astype(np.int64))
            n = nodes.numel()
            a = sp.csr_matrix((col("adj_norm"), col("indices"), col("indptr")), (n, n))
            out.append(put((nodes, csr(a), torch.from_numpy(col("loss_norm").copy()), self.target[nodes])))
        return out

    def full(self):
        indptr, indices = self.array("full_indptr"), self.array("full_indices")
        degree = np.diff(indptr)
        values = np.repeat((1 / np.maximum(degree, 1)).astype(np.float32), degree)
        n = len(indptr) - 1
        t = [torch.from_numpy(x) for x in (indptr.astype(np.int32), indices.astype(np.int32), values)]
        return put(tuple(t + t))  # no backward pass: the transpose is not looked at

    def f1(self, logits, split):
        rows = self.splits[split]
        z = logits[rows].numpy()
        if self.spec["loss"] == "softmax":
            return float((z.argmax(1) == self.labels[rows]).mean())
        truth = self.labels[rows] if self.multi else np.eye(self.spec["classes"])[self.labels[rows]]
        guess, truth = z > 0, truth.astype(bool)
        tp = (guess & truth).sum()
        return float(2 * tp / max(1, guess.sum() + truth.sum()))


class Trainer:
    """Updates of one variant."""

    def __init__(self, x, dropout, variant):
        global KERNEL
        KERNEL, fused, compiled = variant
        spec = x.spec
        torch.manual_seed(1)
        self.x = x
        self.model = Model(spec, x.params(), dropout, fused, compiled == "parts").to(DEVICE)
        self.params = list(self.model.parameters())
        graphs = compiled in ("graphs", "compiled graphs")
        self.opt = torch.optim.Adam(self.params, lr=spec["lr"], weight_decay=spec["weight_decay"], fused=True, capturable=graphs)
        self.loss = torch.compile(self.eager_loss, dynamic=True) if compiled in ("all", "compiled graphs") else self.eager_loss
        self.graphs = {} if graphs else None

    def eager_loss(self, feats, a, weight, target):
        with torch.autocast(DEVICE, torch.bfloat16, enabled=PRECISION == "bf16"):
            logits = self.model(feats, a)
        logits = logits.float()
        if self.x.spec["loss"] == "softmax":
            each = F.cross_entropy(logits, target, reduction="none")
        else:
            each = F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(1)
        return (each * weight).sum()

    def step(self, batch):
        if self.graphs is None:
            return self.update(batch)
        # The key is the batch's own memory: batches that are timed again and again stay where they are.
        key = batch[0].data_ptr()
        if key not in self.graphs:
            self.graphs[key] = self.record(batch)
        graph, loss = self.graphs[key]
        graph.replay()
        return loss

    def record(self, batch):
        """A CUDA graph of the update on a batch, after the warm-up that recording needs."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.update(batch)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            loss = self.update(batch)
        return graph, loss

    def update(self, batch):
        nodes, a, weight, target = batch
        loss = self.loss(self.x.features.index_select(0, nodes), a, weight, target)
        self.opt.zero_grad(set_to_none=True)
        loss.backward()
        if self.x.spec["grad_clip"] > 0:
            torch.nn.utils.clip_grad_norm_(self.params, self.x.spec["grad_clip"], foreach=True)
        self.opt.step()
        return loss

    def logits(self, full):
        self.model.eval()
        with torch.inference_mode():
            out = self.model(self.x.features, full)
        self.model.train()
        return out.float().cpu()


def say(args, line):
    if args.json:
        print(json.dumps(line), flush=True)
    else:
        print("  ".join("%s %s" % (k, v) for k, v in line.items() if k != "type"), flush=True)


def summary(name, samples, **more):
    ms = sorted(1e3 * s for s in samples)
    return dict(type="peer", name=name, value=statistics.median(ms), unit="ms", low=ms[0], high=ms[-1], repeats=len(ms), **more)


def named(variant):
    kernel, fused, compiled = variant
    return "%s sparse product, weights %s%s" % (kernel, "side by side" if fused else "apart", COMPILED[compiled])


COMPILED = {None: "", "all": ", compiled", "parts": ", elementwise parts compiled", "graphs": ", CUDA graphs", "compiled graphs": ", compiled, CUDA graphs"}
PRECISION = "fp32"


def rounds(trainer, batches, repeats, least=0.0):
    """Seconds of a step: medians over rounds through the batches, and cores kept busy."""
    for b in batches:
        trainer.step(b)
    wait()
    cpu, wall, samples = time.process_time(), time.perf_counter(), []
    while len(samples) < repeats or time.perf_counter() - wall < least:
        begin = time.perf_counter()
        for b in batches:
            trainer.step(b)
        wait()
        samples.append((time.perf_counter() - begin) / len(batches))
    return samples, (time.process_time() - cpu) / (time.perf_counter() - wall)


def variants(args):
    all = [(k, f, None) for k in (("cusparse",) if DEVICE == "cuda" else ("mkl", "reduce")) for f in (False, True)]
    if args.variant is not None:
        return [v for v in all + [(k, f, c) for k, f, _ in all for c in COMPILED if c] if named(v) == args.variant]
    return all


def steps(args, x):
    batches = x.batches(4)
    best = None
    for v in variants(args):
        try:
            samples, cores = rounds(Trainer(x, x.spec["dropout"], v), batches, 2 if args.variant is None else args.repeats)
        except Exception as e:  # a kernel that this build of PyTorch lacks
            say(args, dict(type="variant", name=named(v), error=str(e).split("\n")[0][:200]))
            continue
        ms = 1e3 * statistics.median(samples)
        say(args, dict(type="variant", name=named(v), value=ms, unit="ms", cores_busy=round(cores, 2)))
        if best is None or ms < best[0]:
            best = (ms, v)
    more = ("parts", "all") if args.compile else ()
    if DEVICE == "cuda":  # last: a recording that fails may leave its stream unusable
        more += ("graphs",) + (("compiled graphs",) if args.compile else ())
    for compiled in more:
        v = (best[1][0], best[1][1], compiled)
        try:
            begin = time.perf_counter()
            samples, cores = rounds(Trainer(x, x.spec["dropout"], v), batches, 2)
        except Exception as e:  # no C++ compiler, for one
            say(args, dict(type="variant", name=named(v), error=str(e).split("\n")[0][:200]))
            continue
        ms = 1e3 * statistics.median(samples)
        say(args, dict(type="variant", name=named(v), value=ms, unit="ms", cores_busy=round(cores, 2),
                       with_compilation_s=round(time.perf_counter() - begin, 1)))
        if ms < best[0]:
            best = (ms, v)
    samples, cores = rounds(Trainer(x, x.spec["dropout"], best[1]), batches, args.repeats)
    say(args, summary("step/" + x.spec["data"], samples, variant=named(best[1]), cores_busy=round(cores, 2)))


def evaluation(args, x):
    full = x.full()
    best = None
    for v in variants(args):
        t = Trainer(x, 0, v)
        samples = []
        for _ in range(2 if args.variant is None else args.repeats):
            begin = time.perf_counter()
            logits = t.logits(full)
            scores = [x.f1(logits, s) for s in ("train", "val", "test")]
            samples.append(time.perf_counter() - begin)
        say(args, dict(type="variant", name=named(v), value=1e3 * min(samples), unit="ms"))
        if best is None or min(samples) < best[0]:
            best = (min(samples), v)
    t, samples = Trainer(x, 0, best[1]), []
    for _ in range(max(3, args.repeats // 2)):
        begin = time.perf_counter()
        logits = t.logits(full)
        scores = [x.f1(logits, s) for s in ("train", "val", "test")]
        samples.append(time.perf_counter() - begin)
    say(args, summary("eval/" + x.spec["data"], samples, variant=named(best[1])))
    want = x.spec["initial"]
    check(args, "initial val F1", scores[1], want["val_f1_micro"], 2e-3)
    check(args, "initial test F1", scores[2], want["test_f1_micro"], 2e-3)


def check(args, what, got, want, bound):
    ok = abs(got - want) <= bound
    say(args, dict(type="check", name=what, peer=got, saint=want, bound=bound, ok=bool(ok)))
    if not ok:
        args.failed = True


def losses(args, x):
    """The first updates without dropout must have the same losses."""
    t = Trainer(x, 0, ("cusparse" if DEVICE == "cuda" else "mkl", False, None))
    for i, (b, want) in enumerate(zip(x.batches(len(x.spec["losses_without_dropout"])), x.spec["losses_without_dropout"])):
        # Rounding grows with every update; the first loss depends on the forward pass alone.
        bound = {"fp32": (1e-4, 5e-3), "tf32": (2e-3, 2e-2), "bf16": (2e-2, 5e-2)}[PRECISION][i > 0]
        check(args, "loss of update %d" % i, float(t.step(b).detach()), want, bound * abs(want))


def train(args, x):
    """One update on every exported batch, as the export did."""
    batches = x.batches(x.spec["batches"])
    t = Trainer(x, x.spec["dropout"], variants(args)[0])
    begin = time.perf_counter()
    for b in batches:
        t.step(b)
    wait()
    took = time.perf_counter() - begin
    logits = t.logits(x.full())
    say(args, dict(type="peer", name="train/" + x.spec["data"], value=took, unit="s", updates=len(batches)))
    check(args, "test F1 after %d updates" % len(batches), x.f1(logits, "test"), x.spec["trained"]["test_f1_micro"], 0.02)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("export", help="folder that saint bench export wrote")
    p.add_argument("--what", default="losses,step,eval,train", help="which of losses, step, eval, train")
    p.add_argument("--repeats", type=int, default=9)
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    p.add_argument("--precision", choices=("fp32", "tf32", "bf16"), help="of dense products; fp32 on a CPU, tf32 on a GPU unless given")
    p.add_argument("--variant", help="this variant only, by its printed name")
    p.add_argument("--compile", action="store_true", help="also try torch.compile, which takes a minute")
    p.add_argument("--plain_malloc", action="store_true", help="leave the C library's memory settings alone")
    p.add_argument("--json", action="store_true")
    args = p.parse_args()
    args.failed = False
    torch.set_num_threads(args.threads)
    global DEVICE, PRECISION
    DEVICE, PRECISION = args.device, args.precision or ("tf32" if args.device == "cuda" else "fp32")
    torch.backends.cuda.matmul.allow_tf32 = PRECISION != "fp32"
    if DEVICE == "cuda":
        say(args, dict(type="peer_gpu", gpu=torch.cuda.get_device_name(), cuda=torch.version.cuda, precision=PRECISION))
    say(args, dict(type="peer_machine", torch=torch.__version__, threads=torch.get_num_threads(),
                   capability=torch.backends.cpu.get_cpu_capability(), config=torch.__config__.show(),
                   parallel=torch.__config__.parallel_info()))
    if args.what == "none":
        return
    x = Export(args.export)
    for name in args.what.split(","):
        {"losses": losses, "step": steps, "eval": evaluation, "train": train}[name](args, x)
    sys.exit(1 if args.failed else 0)


if __name__ == "__main__":
    main()
