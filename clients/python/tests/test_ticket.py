"""What needs no server: tickets, sources, tokens. python -m unittest discover -s clients/python/tests"""

import itertools
import json
import os
import pickle
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "src"))

from saint_client import Client, Ticket
from saint_client._connect import parse_source

MOST = 2**64 - 1


class Tickets(unittest.TestCase):
    def test_encode(self):
        cases = [
            (Ticket("ppi"), '{"dataset":"ppi","phase":0,"seed":1,"from":0,"to":0,"shard":0,"shards":1,"columns":[]}'),
            (
                Ticket("é", 2, MOST, 5, 9, 1, 3, ("features", "edge_ids")),
                '{"dataset":"é","phase":2,"seed":18446744073709551615,"from":5,"to":9,"shard":1,"shards":3,"columns":["edge_ids","features"]}',
            ),
            (Ticket('a"\\\n', stop=1), '{"dataset":"a\\"\\\\\\n","phase":0,"seed":1,"from":0,"to":1,"shard":0,"shards":1,"columns":[]}'),
        ]
        for ticket, want in cases:
            with self.subTest(want):
                self.assertEqual(ticket.encode(), want.encode())
                json.loads(ticket.encode())

    def test_stop_0_is_not_no_end(self):
        keys = json.loads(Ticket("ppi", stop=0).encode())
        self.assertEqual((keys["from"], keys["to"]), (1, 1))
        self.assertIsNone(Ticket("ppi", stop=0).first)

    def test_columns_once_in_order(self):
        self.assertEqual(Ticket("ppi", columns=["features", "edge_ids", "features"]).columns, ("edge_ids", "features"))

    def test_bad_values(self):
        cases = {
            "dataset": ["", "x" * 256, "é" * 128, 3, None],
            "phase": [-1, 2**31, "0", 0.0, True],
            "seed": [-1, MOST + 1, None],
            "start": [-1, MOST + 1, 1.5],
            "stop": [-1, MOST + 1, "9"],
            "shard": [-1, 1],
            "shards": [0, 2**63, None],
            "columns": ["features", ["nodes"], [1]],
        }
        for name, values in cases.items():
            for value in values:
                with self.subTest(name=name, value=value), self.assertRaisesRegex(ValueError, name):
                    Ticket(**{"dataset": "ppi", name: value})
        with self.assertRaisesRegex(ValueError, "stop is 3"):
            Ticket("ppi", start=4, stop=3)

    def indices(self, ticket, most=60):
        if ticket is None:
            return []
        steps = itertools.takewhile(lambda i: i is not None, self.walk(ticket))
        return list(itertools.islice(steps, most))

    def walk(self, ticket):
        i = ticket.first
        while True:
            yield i
            if i is None:
                return
            i = ticket.after(i)

    def test_walk(self):
        for start, stop, shards in itertools.product(range(6), range(12), range(1, 5)):
            if start > stop:
                continue
            for shard in range(shards):
                t = Ticket("ppi", start=start, stop=stop, shard=shard, shards=shards)
                self.assertEqual(self.indices(t), [i for i in range(start, stop) if i % shards == shard])

    def test_parts_in_turn_are_the_whole(self):
        for start, stop, shards, parts in itertools.product(range(5), (None, 0, 5, 17), (1, 2, 3), (1, 2, 5)):
            if stop is not None and start > stop:
                continue
            for shard in range(shards):
                whole = Ticket("ppi", start=start, stop=stop, shard=shard, shards=shards)
                pieces = [self.indices(whole.part(k, parts)) for k in range(parts)]
                turns = [i for row in itertools.zip_longest(*pieces) for i in row if i is not None]
                with self.subTest(whole=whole, parts=parts):
                    self.assertEqual(turns[:60], self.indices(whole)[: len(turns)])
                    self.assertGreaterEqual(len(turns), len(self.indices(whole)))

    def test_the_last_index(self):
        t = Ticket("ppi", start=MOST - 1)
        self.assertEqual(self.indices(t), [MOST - 1, MOST])
        self.assertEqual(self.indices(t.at(MOST)), [MOST])
        self.assertIsNone(t.part(2, 3))


class Sources(unittest.TestCase):
    def test_good(self):
        cases = {
            "grpc://a:1": (["a:1"], False),
            "grpcs://a:1,b,c:2": (["a:1", "b:1", "c:2"], True),
            "grpc://[::1]:8815,127.0.0.1": (["[::1]:8815", "127.0.0.1:8815"], False),
            "grpc://[::1]:8815,[::2]": (["[::1]:8815", "[::2]:8815"], False),
        }
        for source, want in cases.items():
            with self.subTest(source):
                self.assertEqual(parse_source(source), want)

    def test_bad(self):
        for source in ("", "a:1", "http://a:1", "grpc://", "grpc://a", "grpc://a:0", "grpc://a:65536", "grpc://a:x", "grpc://a:1,a", "grpc://a:1,,b",
                       "grpc://a/b:1", "grpc://::1:8815", "grpc://u@a:1", "grpc://[::1:1", "grpc://:1", "grpc://a:1:2"):  # fmt: skip
            with self.subTest(source), self.assertRaises(ValueError):
                parse_source(source)

    def test_clients(self):
        client = Client(["grpc://a:1", "grpc://b:2,c"], token="0123456789abcdef")
        self.assertEqual(pickle.loads(pickle.dumps(client)).hosts, ("a:1", "b:2", "c:2"))
        self.assertNotIn("0123456789abcdef", repr(vars(client)))
        for what, arguments in {
            "short token": {"token": "x"},
            "token with a space": {"token": "x" * 16 + " "},
            "certificates without TLS": {"tls_root_certs": b"x"},
        }.items():
            with self.subTest(what), self.assertRaises(ValueError):
                Client("grpc://a:1", **arguments)
        for source in (["grpc://a:1", "grpcs://b:1"], ["grpc://a:1", "grpc://a:1"], []):
            with self.subTest(source), self.assertRaises(ValueError):
                Client(source)


if __name__ == "__main__":
    unittest.main()
