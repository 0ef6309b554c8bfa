package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ask sends requests and returns the answers, a line each.
func ask(t *testing.T, requests ...string) []string {
	t.Helper()
	var out bytes.Buffer
	if err := serve(strings.NewReader(strings.Join(requests, "\n")), &out); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(out.String()), "\n")
}

// call makes a request; pairs are names and values of arguments.
func call(t *testing.T, op string, pairs ...any) string {
	t.Helper()
	args := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		args[pairs[i].(string)] = pairs[i+1]
	}
	b, err := json.Marshal(map[string]any{"op": op, "args": args})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestServe(t *testing.T) {
	dir := t.TempDir()
	numbers := array{Name: "a", DType: "int32", Shape: []int{2, 1}, Data: []byte{1, 0, 0, 0, 2, 0, 0, 0}}
	path := func(name string) string { return filepath.Join(dir, name) }
	text := path("text")
	if err := os.WriteFile(text, []byte("no array"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, request, want string }{
		{"write an array", call(t, "npy.write", "path", path("a.npy"), "array", numbers), `{"result":{}}`},
		{"read it", call(t, "npy.read", "path", path("a.npy"), "as", "int64"), `{"result":{"dtype":"int64","shape":[2,1],"data":"AQAAAAAAAAACAAAAAAAAAA=="}}`},
		{"its rows", call(t, "npy.rows", "path", path("a.npy")), `"mapped":null,"reversed":{"dtype":"float32","shape":[2,1],"data":"AAAAQAAAgD8="},"rows":{"dtype":"float32","shape":[2,1],"data":"AACAPwAAAEA="}`},
		{"all but the first", call(t, "npy.stream", "path", path("a.npy"), "as", "int32"), `"shape":[1],"data":"AgAAAA=="`},
		{"write an archive", call(t, "npz.write", "path", path("a.npz"), "arrays", []array{numbers}), `{"result":{}}`},
		{"its names", call(t, "npz.names", "path", path("a.npz")), `{"result":["a"]}`},
		{"its array", call(t, "npz.stream", "path", path("a.npz"), "name", "a", "as", "float32"), `"data":"AAAAQA=="`},
		{
			"write tensors",
			call(t, "safetensors.write", "path", path("a"), "metadata", map[string]string{"k": "v"}, "tensors", []array{{Name: "t", DType: "I32", Shape: []int{2}, Data: numbers.Data}}),
			`{"result":{}}`,
		},
		{"read them", call(t, "safetensors.read", "path", path("a")), `"metadata":{"k":"v"},"tensors":[{"name":"t","dtype":"I32","shape":[2],"data":"AQAAAAIAAAA=","values":{"int32":`},
		{
			"scores",
			call(t, "score", "classes", 2, "pred", array{Data: numbers.Data[:4]}, "truth", array{Data: []byte{1, 0, 0, 0}}),
			`"accuracy":1,"macro":1,"micro":1`,
		},
		{"an area that is not defined", call(t, "rocauc", "k", 1, "scores", array{Data: numbers.Data[:4]}, "truth", array{Data: []byte{1}}), `{"result":{"columns":[null],"mean":null}}`},
		{"sets", call(t, "ogb.sets"), `{"Name":"ogbn-arxiv","Split":"time"`},
		{"certificates", call(t, "certificates", "path", dir), `{"result":{}}`},
		{"certificates nowhere", call(t, "certificates", "path", path("none")), `no such file`},
		{"bad input", call(t, "npy.read", "path", text, "as", "int32"), `"input":true`},
		{"no file", call(t, "npz.names", "path", path("none")), `no such file`},
		{"no operation", call(t, "npy.bake"), `{"error":"unknown operation \"npy.bake\""}`},
		{"no accessor", call(t, "npy.read", "path", path("a.npy"), "as", "complex"), `{"error":"no accessor \"complex\""}`},
		{"a panic", call(t, "score", "classes", 1, "pred", array{}, "truth", array{Data: numbers.Data}), `"panic":true`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ask(t, tt.request); len(got) != 1 || !strings.Contains(got[0], tt.want) {
				t.Errorf("serve(%s) = %s, want %s", tt.request, got, tt.want)
			}
		})
	}
	if err := serve(strings.NewReader("{]"), &bytes.Buffer{}); err == nil {
		t.Error("serve({]) = nil, want an error")
	}
}
