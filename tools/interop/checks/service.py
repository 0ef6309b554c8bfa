"""The sampling service: 'saint serve' read by pyarrow's own Flight client and by clients/python, batches held
against those of 'saint sample'; what is refused; servers that die."""

import base64
import contextlib
import hashlib
import json
import os

import signal
import subprocess
import sys
import tempfile
import threading
import unittest

import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pyarrow.ipc as ipc

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "clients", "python")
sys.path.insert(0, os.path.join(ROOT, "src"))
os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # connections are refused here on purpose

import saint_client as sc  # noqa: E402

DATA, CONFIG, TOKEN = "synth:tiny", "rw.yml", "a-token-of-the-checks"


class Server:
    """saint serve on a free port of this machine."""

    def __init__(self, h, *flags, listen="127.0.0.1:0"):
        self.log = open(h.path(".log"), "w+", encoding="utf-8")  # noqa: SIM115: close does
        args = ["serve", "--data_prefix", DATA, "--train_config", CONFIG, "--listen", listen, "--num_cpu_core", "1", "--no_cache", "--json"]
        self.process = subprocess.Popen([h.saint_path, *args, *flags], stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            raise RuntimeError("saint serve: " + self.log.read())
        self.source = json.loads(line)["source"]
        self.address = self.source.split("//")[1]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        """Ends it by SIGTERM and returns the exit code."""
        with self.process.stdout, self.log:
            self.process.send_signal(signal.SIGTERM)
            try:
                return self.process.wait(30)
            finally:
                self.process.kill()


@contextlib.contextmanager
def serving(h, *flags, **options):
    server = Server(h, *flags, **options)
    try:
        yield server
    finally:
        server.close()


class Samples:
    """Streams of saint sample: their records by flags, and the digest of the first so many."""

    def __init__(self, h, count=24):
        self.h, self.of = h, {}
        for features in (False, True):
            for edge_ids in (False, True):
                path = h.path(".arrows")
                flags = (["--features"] if features else []) + ([] if edge_ids else ["--no_edge_ids"])
                h.saint("sample", "--data_prefix", DATA, "--train_config", CONFIG, "--count", count, "--out", path, *flags)
                columns = tuple(name for name, there in (("edge_ids", edge_ids), ("features", features)) if there)
                with ipc.open_stream(path) as r:
                    self.of[columns] = path, r.schema, list(r)

    def records(self, columns, indices):
        return [self.of[columns][2][i] for i in indices]

    def compare(self, what, columns, records, indices):
        """The records are those of saint sample, byte for byte, once our own writer has written both."""
        schema = self.of[columns][1]
        digests = []
        for some in (records, self.records(columns, indices)):
            path, copy = self.h.path(".arrows"), self.h.path(".arrows")
            with ipc.new_stream(path, schema) as w:
                for r in some:
                    w.write_batch(r.replace_schema_metadata(schema.metadata))
            digests.append(self.h.go("batches.copy", path=path, out=copy))
        return self.h.equal(what, digests[0], digests[1])


def unit(h):
    """The package's own tests, which need no server."""
    result = unittest.TestResult()
    unittest.defaultTestLoader.discover(os.path.join(ROOT, "tests")).run(result)
    for test, trace in result.errors + result.failures:
        h.fail(str(test), trace)
    h.true("unit tests", result.testsRun > 5 and result.wasSuccessful(), f"{result.testsRun} were run")


def ticket(**keys):
    return flight.Ticket(json.dumps({"dataset": DATA, **keys}).encode())


def raw(h, server, samples):
    """pyarrow alone."""
    options = flight.FlightCallOptions(headers=[(b"authorization", b"Bearer " + TOKEN.encode())], timeout=30)
    with flight.FlightClient("grpc+tcp://" + server.address) as client:
        flights = list(client.list_flights(options=options))
        h.equal("flights", [[p.decode() for p in f.descriptor.path] for f in flights], [[DATA, "0"]])
        per_epoch = int(flights[0].schema.metadata[b"saint.batches_per_epoch"])
        h.equal("records of a flight", flights[0].total_records, per_epoch)
        epoch = client.do_get(flights[0].endpoints[0].ticket, options=options).read_all()
        samples.compare("an epoch by its endpoint", (), epoch.to_batches(), range(per_epoch))
        for columns, (path, schema, _) in samples.of.items():
            reader = client.do_get(ticket(to=6, columns=columns), options=options)
            records = [chunk.data for chunk in reader]
            samples.compare(f"columns {columns}", columns, records, range(6))
            with open(path, "rb") as f:
                whole = hashlib.sha256(f.read()).hexdigest()
            h.equal(f"columns {columns}: copy of the file", h.go("batches.copy", path=path, out=h.path(".arrows")), whole)
            more = {k: v for k, v in reader.schema.metadata.items() if k not in schema.metadata}
            h.equal(f"columns {columns}: further metadata", sorted(more), [b"saint.data", b"saint.norm"])
            want = client.get_schema(flight.FlightDescriptor.for_command(ticket(columns=columns).ticket), options=options).schema
            h.true(f"columns {columns}: GetSchema", want.equals(reader.schema, check_metadata=True))
        info = client.get_flight_info(flight.FlightDescriptor.for_command(ticket(to=9, shards=3).ticket), options=options)
        for k, endpoint in enumerate(info.endpoints):
            records = [chunk.data for chunk in client.do_get(endpoint.ticket, options=options)]
            samples.compare(f"endpoint {k}", (), records, range(k, 9, 3))
        h.equal("endpoints", len(info.endpoints), 3)
        h.equal("actions", {a.type for a in client.list_actions(options=options)} >= {"health", "norm", "stats", "drain"}, True)
        malformed(h, client, options)
        for what, header in {"no token": [], "wrong token": [(b"authorization", b"Bearer " + TOKEN[:-1].encode() + b"x")],
                             "token twice": [(b"authorization", b"Bearer " + TOKEN.encode())] * 2}.items():  # fmt: skip
            wrong = flight.FlightCallOptions(headers=header, timeout=30)
            for name, call in {
                "DoGet": lambda o: client.do_get(ticket(to=1), options=o).read_all(),
                "ListFlights": lambda o: list(client.list_flights(options=o)),
                "DoAction": lambda o: list(client.do_action("health", options=o)),
            }.items():
                raises(h, f"{what}: {name}", flight.FlightUnauthenticatedError, lambda: call(wrong), "token")


def malformed(h, client, options):
    """Tickets that are none: an error each, and the server goes on."""
    whole = ticket(to=1).ticket
    bad = {
        "empty": b"", "text": b"hello", "a list": b"[]", "cut": whole[:-1], "two": whole + whole, "long": whole + b" " * 4096, "not UTF-8": b"\xff" + whole,
        "unknown key": ticket(path="/etc/passwd").ticket, "key twice": whole[:-1] + b', "to": 2}', "no dataset": b"{}", "fraction": ticket(to=1.5).ticket,
        "negative": ticket(seed=-1).ticket, "too large": ticket(seed=2**64).ticket, "text for a number": ticket(seed="1").ticket, "null": ticket(to=None).ticket,
        "from beyond to": ticket(**{"from": 2, "to": 1}).ticket, "shard of none": ticket(shard=1, shards=1).ticket, "no shards": ticket(shards=0).ticket,
        "unknown column": ticket(columns=["nodes"]).ticket, "column twice": ticket(columns=["features", "features"]).ticket,
        "columns as text": ticket(columns="features").ticket,
    }  # fmt: skip
    for what, content in bad.items():
        raises(h, "ticket: " + what, pa.ArrowInvalid, lambda: client.do_get(flight.Ticket(content), options=options).read_all())
    for what, content in {"unknown data set": ticket(dataset="../ppi"), "unknown phase": ticket(phase=1)}.items():
        raises(h, "ticket: " + what, pa.ArrowKeyError, lambda: client.do_get(content, options=options).read_all())
    raises(h, "unknown action", pa.ArrowNotImplementedError, lambda: list(client.do_action("nothing", options=options)))
    raises(h, "norm of nothing", pa.ArrowInvalid, lambda: list(client.do_action(("norm", b"{}"), options=options)))
    raises(h, "DoPut", pa.ArrowNotImplementedError, lambda: client.do_put(flight.FlightDescriptor.for_path("x"), pa.schema([]), options=options)[0].close())
    h.equal("health after all", json.loads(next(iter(client.do_action("health", options=options))).body.to_pybytes()), {"status": "serving"})


def raises(h, what, kind, call, *words):
    try:
        got = call()
    except Exception as err:
        return h.true(what, isinstance(err, kind) and all(w in str(err) for w in words), f"{type(err).__name__}: {err}")
    return h.true(what, False, f"accepted as {str(got)[:200]}")


def package(h, server, samples, shared_memory):
    """clients/python."""
    client = sc.Client(server.source, token=TOKEN, shared_memory=shared_memory)
    h.equal("client: flights", [(f.dataset, f.phase) for f in client.flights()], [(DATA, 0)])
    h.equal("client: health", client.health(), {server.address: "serving"})
    norm, meta = client.norm(DATA), client.meta(DATA, columns=["features"])
    h.equal("client: norm and meta agree", (norm.key, norm.data), (meta.norm, meta.data))
    for columns in samples.of:
        with client.batches(DATA, stop=8, columns=columns, data=meta.data, norm=meta.norm) as batches:
            got = list(batches)
            h.equal(f"client: next index {columns}", batches.next_index, None)
        samples.compare(f"client: columns {columns}", columns, [b.record for b in got], range(8))
        for b, record in zip(got, samples.records(columns, range(8))):
            arrays(h, f"client: columns {columns}: batch {b.index}", b, record)
        path = samples.of[columns][0]
        samples.compare(f"client: file {columns}", columns, [b.record for b in sc.read(path)], range(24))
    # A stream is the same wherever it begins, and in shards.
    for start in (0, 1, 5, 23):
        with client.batches(DATA, start=start, stop=24) as batches:
            samples.compare(f"client: from {start}", (), [b.record for b in batches], range(start, 24))
    for shards in (2, 3):
        for shard in range(shards):
            got = list(client.batches(DATA, start=4, stop=20, shard=shard, shards=shards))
            h.equal(f"client: shard {shard} of {shards}", [b.index for b in got], [i for i in range(4, 20) if i % shards == shard])
            samples.compare(f"client: bytes of shard {shard} of {shards}", (), [b.record for b in got], [b.index for b in got])
    h.equal("client: nothing", list(client.batches(DATA, stop=0)), [])
    endless = client.batches(DATA)
    h.equal("client: without end", [next(endless).index for _ in range(50)], list(range(50)))
    endless.close()
    h.equal("client: closed", list(endless), [])
    streams = client.stats()[server.address]["streams_total"]
    h.true("client: stats", streams > 10, str(streams))
    for what, kind, call in (
        ("data set", sc.RefusedError, lambda: next(client.batches("none"))),
        ("phase", sc.RefusedError, lambda: next(client.batches(DATA, phase=7))),
        ("data", sc.MismatchError, lambda: next(client.batches(DATA, data="0" * 64))),
        ("norm", sc.MismatchError, lambda: next(client.batches(DATA, norm="0" * 64))),
        ("no token", sc.RefusedError, lambda: next(sc.Client(server.source).batches(DATA))),
        ("wrong token", sc.RefusedError, lambda: sc.Client(server.source, token="x" * 20).flights()),
        ("no TLS there", sc.UnreachableError, lambda: sc.Client("grpcs://" + server.address, token=TOKEN, timeout=2).flights()),
        ("nobody", sc.UnreachableError, lambda: next(sc.Client("grpc://127.0.0.1:1").batches(DATA, patience=0.2))),
    ):
        raises(h, "client: " + what, kind, call)


def arrays(h, what, b, record):
    """The arrays are the record's, not copies of them, and right."""
    for name in ("nodes", "indptr", "indices", "adj_norm", "loss_norm", "edge_ids", "features", "labels"):
        got, want = getattr(b, name), record.column(name)[0].values
        if got is None:
            h.equal(f"{what}: no {name}", len(want), 0)
            continue
        flat = b.record.column(name)[0].values
        if pa.types.is_fixed_size_list(want.type):
            want, flat = want.flatten(), flat.flatten()
        h.equal(f"{what}: {name}", got.ravel(), want.to_numpy())
        at = flat.buffers()[1].address + flat.offset * got.itemsize
        h.true(f"{what}: {name} is a view", got.__array_interface__["data"] == (at, True) or at % got.itemsize != 0)
    h.equal(what + ": shape", (b.features is None or b.features.shape[0], b.num_edges), (b.features is None or b.num_nodes, b.indptr[-1]))


def failures(h, shared_memory):
    """Servers that are killed, come back, or do not."""

    def client_of(source):
        return sc.Client(source, shared_memory=shared_memory)

    count = 100 if shared_memory else 4000  # more than fits into what lies between server and client
    path = h.path(".arrows")
    h.saint("sample", "--data_prefix", DATA, "--train_config", CONFIG, "--count", count, "--no_edge_ids", "--out", path)
    with ipc.open_stream(path) as r:
        want = [record.replace_schema_metadata(None) for record in r]

    def rest(what, batches, act):
        """Some batches, what act does, and all the others: those of saint sample."""
        got = [next(batches) for _ in range(6)]
        act()
        got += batches
        same = [b.record.replace_schema_metadata(None).equals(r) for b, r in zip(got, want)]
        h.true(what, len(got) == count and all(same), f"{len(got)} batches, {sum(same)} the same")
        h.true(what + ": noticed", batches.reconnects > 0)

    with serving(h) as first, serving(h) as second:
        both = client_of(f"{first.source},{second.address}")
        with both.batches(DATA, stop=count, prefetch=1) as batches:
            rest("one of two is killed", batches, first.kill)
        h.equal("health of both", list(both.health().values()), ["unreachable", "serving"])
        back = []
        restart = threading.Timer(0.3, lambda: back.append(Server(h, listen=second.address)))

        def kill():
            second.kill()
            restart.start()

        with client_of(second.source).batches(DATA, stop=count, prefetch=1) as batches:
            rest("killed and restarted", batches, kill)
        restart.join()
        client = client_of(second.source)
        client.drain(second.address)
        h.equal("drained by a client", back[0].process.wait(30), 0)
        back[0].close()
    server = Server(h)
    with client_of(server.source).batches(DATA, prefetch=1, patience=0.3) as batches:
        next(batches)
        h.equal("SIGTERM with a stream open", server.close(), 0)
        raises(h, "nobody any more", sc.UnreachableError, lambda: [None for _ in batches])
    with serving(h, "--max_streams", "1") as server:
        client = client_of(server.source)
        with client.batches(DATA) as batches:
            next(batches)
            raises(h, "a limit is no refusal", sc.UnreachableError, lambda: next(client.batches(DATA, patience=0.2)))
        h.equal("a place is free again", next(client.batches(DATA, patience=10)).index, 0)


def encrypted(h, samples):
    """TLS, certificates of clients."""
    folder = h.path()
    os.mkdir(folder)
    h.go("certificates", path=folder)
    at = {name: os.path.join(folder, name + ".pem") for name in ("ca", "server", "server-key", "client", "client-key", "other-ca")}
    token = os.path.join(folder, "token")
    with open(token, "w", encoding="utf-8") as f:
        f.write(TOKEN + "\n")
    flags = ["--tls_cert", at["server"], "--tls_key", at["server-key"], "--token_file", token]
    with serving(h, *flags) as server:
        h.true("scheme", server.source.startswith("grpcs://"), server.source)
        batches = sc.Client(server.source, token=TOKEN, tls_root_certs=at["ca"]).batches(DATA, stop=4)
        samples.compare("TLS", (), [b.record for b in batches], range(4))
        for what, source, options in (
            ("another authority", server.source, {"tls_root_certs": at["other-ca"]}),
            ("the world's authorities", server.source, {}),
            ("without TLS", "grpc://" + server.address, {}),
        ):
            raises(h, "TLS: " + what, sc.UnreachableError, lambda: sc.Client(source, token=TOKEN, timeout=2, **options).flights())
        raises(h, "TLS: no token", sc.RefusedError, lambda: sc.Client(server.source, tls_root_certs=at["ca"]).flights(), "token")
    with serving(h, *flags, "--tls_client_ca", at["ca"]) as server:
        pair = {"tls_client_cert": at["client"], "tls_client_key": at["client-key"]}
        batches = sc.Client(server.source, token=TOKEN, tls_root_certs=at["ca"], **pair).batches(DATA, stop=4)
        samples.compare("TLS both ways", (), [b.record for b in batches], range(4))
        raises(h, "TLS both ways: no certificate", sc.UnreachableError,
               lambda: sc.Client(server.source, token=TOKEN, tls_root_certs=at["ca"], timeout=2).flights())  # fmt: skip


class Liar(flight.FlightServerBase):
    """Serves one record under whatever name."""

    def __init__(self, records):
        super().__init__("grpc+tcp://127.0.0.1:0")
        self.records = records

    def do_get(self, context, ticket):
        return flight.RecordBatchStream(pa.RecordBatchReader.from_batches(self.records[0].schema, self.records))


def lies(h, server, samples):
    """A server that sends what is no batch, or another one."""
    with sc.Client(server.source, token=TOKEN).batches(DATA, stop=3, columns=["features", "edge_ids"]) as batches:
        good, other = next(batches).record, next(batches).record
    schema = good.schema

    def turned(name, change):
        """The record with the values of a column changed."""
        at, values = schema.get_field_index(name), good.column(name)[0].values
        wide = values.type if pa.types.is_fixed_size_list(values.type) else None
        flat = (values.flatten() if wide else values).to_numpy().copy()
        flat = pa.array(change(flat), type=(wide or values).value_type if wide else values.type)
        child = pa.FixedSizeListArray.from_arrays(flat, wide.list_size) if wide else flat
        column = pa.ListArray.from_arrays(pa.array([0, len(child)], pa.int32()), child).cast(schema.field(at).type)
        return [pa.RecordBatch.from_arrays([column if i == at else c for i, c in enumerate(good.columns)], schema=schema)]

    def put(k, value):
        def change(a):
            a[k] = value
            return a

        return change

    def said(**keys):
        metadata = {**schema.metadata, **{b"saint." + k.encode(): v for k, v in keys.items()}}
        return [good.replace_schema_metadata(metadata)]

    n = len(good.column("nodes")[0].values)
    cases = {
        "index": [other],
        "nothing": [good, good],
        "two rows": pa.Table.from_batches([good, other]).combine_chunks().to_batches(),
        "column beyond": turned("indices", put(0, n)),
        "column below": turned("indices", put(-1, -1)),
        "rows that fall": turned("indptr", put(1, 2**31 - 1)),
        "rows that wrap": turned("indptr", put(2, -(2**31))),
        "last row": turned("indptr", put(-1, 5)),
        "short indptr": turned("indptr", lambda a: a[:-1]),
        "short adj_norm": turned("adj_norm", lambda a: a[1:]),
        "short features": turned("features", lambda a: a[: -schema.field("features").type.value_type.list_size]),
        "node beyond": turned("nodes", put(-1, 2**31 - 1)),
        "nodes not in order": turned("nodes", put(0, 1000)),
        "edge beyond": turned("edge_ids", put(0, 2**62)),
        "class beyond": turned("labels", put(0, 99)),
        "infinite weight": turned("adj_norm", put(0, np.inf)),
        "another seed": said(seed=b"2"),
        "another version": said(schema=b"2"),
        "a size that is none": said(num_nodes=b"-1"),
        "no metadata": [good.replace_schema_metadata(None)],
        "a missing column": [good.select(schema.names[:-1])],
    }
    for what, records in cases.items():
        with Liar(records) as liar:
            client = sc.Client(f"grpc://127.0.0.1:{liar.port}")
            batches = client.batches(DATA, stop=2, columns=["features", "edge_ids"], patience=5)
            raises(h, "lies: " + what, sc.MismatchError, lambda: list(batches))


class SharedLiar(Liar):
    """Offers the memory of a folder, and says of its slots what it is told to."""

    def __init__(self, records, offer, results):
        super().__init__(records)
        self.offer, self.results = offer, results

    def do_action(self, context, action):
        head = self.records[0].schema.serialize().to_pybytes()[8:]
        yield flight.Result(json.dumps({"slots": 2, "schema": base64.b64encode(head).decode(), **self.offer}).encode())
        for result in self.results:
            yield flight.Result(result if isinstance(result, bytes) else json.dumps(result).encode())


def shared_lies(h, server):
    """Memory that is none, or holds no batch."""
    if not os.path.isdir("/dev/shm"):
        return
    with sc.Client(server.source, token=TOKEN).batches(DATA, stop=1) as batches:
        good = next(batches).record
    sink = pa.BufferOutputStream()
    with ipc.new_file(sink, good.schema.remove_metadata()) as w:
        w.write_batch(good.replace_schema_metadata(None))
    whole = sink.getvalue().to_pybytes()
    flipped = bytearray(whole)
    flipped[len(whole) - 20] ^= 255
    at = {"slot": 0, "bytes": len(whole), "index": 0}
    cases = {  # what: slot 0, offer, results, what becomes of it
        "right": (whole, {}, [at], True),
        "a folder elsewhere": (whole, {"folder": h.folder}, [at], True),
        "a folder with another name": (whole, {"folder": "/dev/shm/../" + h.folder}, [at], True),
        "more slots than there are": (whole, {"slots": 3}, [at], True),
        "no slots": (whole, {"slots": 0}, [at], True),
        "no schema": (whole, {"schema": ""}, [at], False),
        "a schema that is none": (whole, {"schema": "AAAAAAAAAAA="}, [at], False),
        "bytes beyond": (whole, {}, [{**at, "bytes": len(whole) + 4096}], False),
        "no bytes": (whole, {}, [{**at, "bytes": 0}], False),
        "a slot that is not there": (whole, {}, [{**at, "slot": 2}], False),
        "a slot below": (whole, {}, [{**at, "slot": -1}], False),
        "no slot": (whole, {}, [{}], False),
        "no JSON": (whole, {}, [b"hello"], False),
        "no object": (whole, {}, [b"[]1"], False),
        "garbage": (bytes(len(whole)), {}, [at], False),
        "damage": (bytes(flipped), {}, [at], False),
        "cut": (whole[:-64], {}, [{**at, "bytes": len(whole) - 64}], False),
    }
    for what, (content, offer, results, right) in cases.items():
        with tempfile.TemporaryDirectory(prefix="saint-", dir="/dev/shm") as folder:
            for name, data in {"control": bytes(3), "slot-0": content, "slot-1": whole}.items():
                with open(os.path.join(folder, name), "wb") as f:
                    f.write(data)
            with SharedLiar([good], {"folder": folder, **offer}, results) as liar:
                batches = sc.Client(f"grpc://127.0.0.1:{liar.port}").batches(DATA, stop=1, patience=2)
                if right:
                    h.true("shared lies: " + what, [b.record.equals(good) for b in batches] == [True])
                else:
                    raises(h, "shared lies: " + what, sc.MismatchError, lambda: list(batches))


def held(h, server, samples):
    """Shared memory is the client's as long as it holds any of it, and nothing waits for that."""
    client = sc.Client(server.source, token=TOKEN)
    with client.batches(DATA, stop=24) as batches:
        whole = [b.record for b in batches]
        samples.compare("all held at once", (), whole, range(24))
    with client.batches(DATA, stop=24) as batches:
        parts = [b.indices for b in batches]
    for i, (part, record) in enumerate(zip(parts, samples.records((), range(24)))):
        h.equal(f"one array held of batch {i}", part, record.column("indices")[0].values.to_numpy())


def tensors(h, server, samples):
    """PyTorch, where it is there."""
    try:
        import torch
    except ImportError:
        return
    from saint_client.torch import StreamDataset

    client = sc.Client(server.source, token=TOKEN)
    columns = ("edge_ids", "features")
    want = list(client.batches(DATA, stop=9, columns=columns))
    for b in want:
        t = b.torch()
        parts = [torch.tensor(a) for a in (b.indptr, b.indices, b.adj_norm)]
        adj = torch.sparse_csr_tensor(*parts, t.adj.shape, check_invariants=True)
        h.equal(f"tensors: {b.index}: adj", t.adj.to_dense().numpy(), adj.to_dense().numpy())
        for name in ("nodes", "loss_norm", "labels", "features", "edge_ids"):
            h.equal(f"tensors: {b.index}: {name}", getattr(t, name).numpy(), getattr(b, name))
            h.equal(f"tensors: {b.index}: {name} is a view", getattr(t, name).data_ptr(), getattr(b, name).__array_interface__["data"][0])
    for workers in (0, 1, 3):
        for shards in (1, 2):
            data = StreamDataset(client, DATA, stop=9, shard=shards - 1, shards=shards, columns=columns)
            how = {"num_workers": workers, "multiprocessing_context": "forkserver"} if workers else {}
            got = list(torch.utils.data.DataLoader(data, batch_size=None, **how))
            what = f"DataLoader: {workers} workers, {shards} shards"
            h.equal(what, [t.index for t in got], [i for i in range(9) if i % shards == shards - 1])
            for t in got:
                b = want[t.index]
                h.equal(f"{what}: {t.index}", (t.nodes.tolist(), t.features.tolist()), (b.nodes.tolist(), b.features.tolist()))
                h.equal(f"{what}: {t.index}: adj", t.adj.values().numpy(), b.adj_norm)


FORK = """
import os, sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[1])
import saint_client
client = saint_client.Client(sys.argv[2], token=sys.argv[3])
client.flights()
if os.fork() == 0:
    try:
        client.flights()
    except RuntimeError as err:
        print(err, flush=True)
    os._exit(0)
os.wait()
"""


def run(h):
    unit(h)
    samples = Samples(h)
    token = h.path()
    with open(token, "w", encoding="utf-8") as f:
        f.write(TOKEN + "\n")
    with serving(h, "--token_file", token) as server:
        raw(h, server, samples)
        for shared_memory in (False, True):
            package(h, server, samples, shared_memory)
        held(h, server, samples)
        tensors(h, server, samples)
        lies(h, server, samples)
        shared_lies(h, server)
        if hasattr(os, "fork"):
            args = [sys.executable, "-c", FORK, os.path.join(ROOT, "src"), server.source, TOKEN]
            said = subprocess.run(args, capture_output=True, text=True, timeout=60, check=False)
            h.true("a fork is refused", "forkserver" in said.stdout, said.stdout + said.stderr)
    for shared_memory in (False, True):
        failures(h, shared_memory)
    encrypted(h, samples)
