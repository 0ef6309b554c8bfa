// Command interop puts the readers, the writers and the scores of this module at the disposal of
// the checks beside it, which hold them against NumPy, SciPy, Arrow, scikit-learn and other
// programs ('make interop'). It reads one request a line from standard input and writes one
// answer a line to standard output, both JSON:
//
//	{"op": "npy.read", "args": {"path": "a.npy", "as": "float32"}}
//	{"result": {"dtype": "float32", "shape": [2], "data": "AACAPwAAAEA="}}
//
// An answer has either a result or an error, and says whether the error is about the input.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/saint-gnn/saint/formats"
)

// operation answers a request with the given arguments.
type operation func(args json.RawMessage) (any, error)

// operations by the name that requests give.
var operations = map[string]operation{
	"npy.read":          on(npyRead),
	"npy.rows":          on(npyRows),
	"npy.stream":        on(npyStream),
	"npy.write":         on(npyWrite),
	"npz.names":         on(npzNames),
	"npz.read":          on(npzRead),
	"npz.stream":        on(npzStream),
	"npz.write":         on(npzWrite),
	"csr.read":          on(csrRead),
	"csr.write":         on(csrWrite),
	"safetensors.read":  on(tensorsRead),
	"safetensors.write": on(tensorsWrite),
	"batches.read":      on(batchesRead),
	"batches.copy":      on(batchesCopy),
	"certificates":      on(certificates),
	"table.read":        on(tableRead),
	"score":             on(score),
	"rocauc":            on(rocAUC),
	"ogb.sets":          on(ogbSets),
}

// on makes an operation of a function of its arguments.
func on[A any](f func(A) (any, error)) operation {
	return func(args json.RawMessage) (any, error) {
		var a A
		if err := json.Unmarshal(args, &a); err != nil {
			return nil, fmt.Errorf("arguments: %w", err)
		}
		return f(a)
	}
}

type request struct {
	Op   string          `json:"op"`
	Args json.RawMessage `json:"args"`
}

type answer struct {
	Result any    `json:"result,omitempty"`
	Error  string `json:"error,omitempty"`
	Input  bool   `json:"input,omitempty"` // the error is a *formats.InputError
	Panic  bool   `json:"panic,omitempty"`
}

func main() {
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
}

// serve answers requests until there are no more.
func serve(r io.Reader, w io.Writer) error {
	in, out := json.NewDecoder(r), bufio.NewWriter(w)
	for {
		var q request
		if err := in.Decode(&q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("request: %w", err)
		}
		if err := json.NewEncoder(out).Encode(reply(&q)); err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
}

// reply carries a request out. A panic is an answer too: the next check shall run.
func reply(q *request) (a answer) {
	defer func() {
		if p := recover(); p != nil {
			a = answer{Error: fmt.Sprint("panic: ", p), Panic: true}
		}
	}()
	op := operations[q.Op]
	if op == nil {
		return answer{Error: fmt.Sprintf("unknown operation %q", q.Op)}
	}
	result, err := op(q.Args)
	if err != nil {
		var input *formats.InputError
		return answer{Error: err.Error(), Input: errors.As(err, &input)}
	}
	return answer{Result: result}
}

// done is the result of operations that only write.
type done struct{}
