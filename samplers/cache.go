package samplers

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"math"
	"strconv"
	"unsafe"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/safetensors"
)

// normFormat is the version of what SaveNorm writes and of the law of EstimateNorm: raise
// it when either changes.
const normFormat = "2"

// Tensors and metadata of a saved Norm; docs/samplers.md describes them.
const (
	tensorLoss    = "loss"
	tensorAggr    = "aggr"
	metaFormat    = "saint.norm"
	metaKey       = "key"
	metaSubgraphs = "subgraphs"
	metaUniform   = "uniform_loss"
	metaMean      = "subgraph_mean" // absent: false
	metaChecksum  = "crc32c"
)

// CacheKey names the result of EstimateNorm: equal keys, equal coefficients. fingerprint
// must identify the training graph and the training nodes, sampler and params the law, in
// any canonical form. Workers and Progress of o do not matter. The key is 64 hex digits and
// suits as a file name.
func CacheKey(fingerprint, sampler, params string, o EstimateOptions) string {
	text := fmt.Sprintf("saint norm %s\n%q %q %q\n%d %d %d %t %t %q\n", normFormat, fingerprint, sampler, params,
		o.Coverage, o.Seed, o.Phase, o.DisableNormLoss, o.DisableNormAggr, o.Compat)
	if o.Exact {
		text += "exact\n"
	}
	if o.SubgraphMean {
		text += "subgraph\n"
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Fingerprint returns the SHA-256 (hex) of the training graph and the training nodes:
// everything that a sample depends on besides the sampler and its random stream. It suits as
// the fingerprint of [CacheKey].
func (e Env) Fingerprint() string {
	h := sha256.New()
	h.Write([]byte(e.Graph.Fingerprint()))
	if n := len(e.Train); n > 0 {
		h.Write(unsafe.Slice((*byte)(unsafe.Pointer(&e.Train[0])), n*4))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Save writes n to a safetensors file at path, which is complete or as before. key comes
// from [CacheKey]. The same Norm and key give the same bytes.
func (n *Norm) Save(path, key string) error {
	tensors := []safetensors.Tensor{safetensors.Float32(tensorLoss, []int{len(n.Loss)}, n.Loss)}
	if n.Aggr != nil {
		tensors = append(tensors, safetensors.Float32(tensorAggr, []int{len(n.Aggr)}, n.Aggr))
	}
	meta := map[string]string{
		metaFormat:    normFormat,
		metaKey:       key,
		metaSubgraphs: strconv.Itoa(n.Subgraphs),
		metaUniform:   strconv.FormatBool(n.UniformLoss),
		metaChecksum:  checksum(tensors, tensorAggr, tensorLoss),
	}
	if n.SubgraphMean {
		meta[metaMean] = "true"
	}
	return safetensors.WriteFile(path, tensors, meta)
}

// LoadNorm reads what Save wrote for the same key: the same bits that EstimateNorm gives
// on env. A file that is damaged, belongs to another key or does not fit env is a
// *formats.InputError; a caller with a cache then estimates anew.
func LoadNorm(path, key string, env Env) (*Norm, error) {
	if err := env.check(); err != nil {
		return nil, err
	}
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	n, err := readNorm(f, path, key, env)
	if closeErr := f.Close(); err == nil && closeErr != nil {
		return nil, closeErr
	}
	return n, err
}

func readNorm(f *safetensors.File, path, key string, env Env) (*Norm, error) {
	meta := f.Metadata()
	if got := meta[metaFormat]; got != normFormat {
		return nil, formats.BadInput(path, "it does not hold normalisation coefficients of format %s", normFormat)
	}
	if got := meta[metaKey]; got != key {
		return nil, formats.BadInput(path, "its coefficients belong to key %s, want %s", got, key)
	}
	subgraphs, err := strconv.Atoi(meta[metaSubgraphs])
	if err != nil || subgraphs < 0 {
		return nil, formats.BadInput(path, "%s is %q, want a count", metaSubgraphs, meta[metaSubgraphs])
	}
	uniform, err := strconv.ParseBool(meta[metaUniform])
	if err != nil {
		return nil, formats.BadInput(path, "%s is %q, want true or false", metaUniform, meta[metaUniform])
	}
	tensors := make([]safetensors.Tensor, 0, 2)
	for _, name := range f.Names() {
		t, err := f.Tensor(name)
		if err != nil {
			return nil, err
		}
		tensors = append(tensors, t)
	}
	if got := checksum(tensors, tensorAggr, tensorLoss); got != meta[metaChecksum] {
		return nil, formats.BadInput(path, "its checksum is %s, want %s: the file is damaged", got, meta[metaChecksum])
	}
	mean, err := strconv.ParseBool(cmp.Or(meta[metaMean], "false"))
	if err != nil {
		return nil, formats.BadInput(path, "%s is %q, want true or false", metaMean, meta[metaMean])
	}
	n := &Norm{Subgraphs: subgraphs, UniformLoss: uniform, SubgraphMean: mean}
	for i := range tensors {
		if err := n.setTensor(path, &tensors[i], env); err != nil {
			return nil, err
		}
	}
	if err := n.fits(path, env); err != nil {
		return nil, err
	}
	n.prepare(env.Graph)
	return n, nil
}

// setTensor checks one tensor's size before copying it, and its values.
func (n *Norm) setTensor(path string, t *safetensors.Tensor, env Env) error {
	want := int64(env.Graph.NumNodes())
	into := &n.Loss
	switch t.Name {
	case tensorLoss:
	case tensorAggr:
		want, into = env.Graph.NumEdges(), &n.Aggr
	default:
		return formats.BadInput(path, "tensor %q is unknown", t.Name)
	}
	if t.DType != safetensors.F32 || len(t.Shape) != 1 || int64(t.Len()) != want {
		return formats.BadInput(path, "tensor %q is %s %v, want F32 [%d]", t.Name, t.DType, t.Shape, want)
	}
	values, err := t.Float32s()
	if err != nil {
		return err
	}
	for i, x := range values {
		if !(x >= 0 && x <= math.MaxFloat32) {
			return formats.BadInput(path, "tensor %q has %v at %d, want a finite coefficient that is not negative", t.Name, x, i)
		}
	}
	*into = values
	return nil
}

// fits reports coefficients of other training nodes: exactly those have a loss weight.
func (n *Norm) fits(path string, env Env) error {
	if n.SubgraphMean && n.Aggr != nil {
		return formats.BadInput(path, "tensor %q beside %s", tensorAggr, metaMean)
	}
	if len(n.Loss) != env.Graph.NumNodes() {
		return formats.BadInput(path, "tensor %q is missing", tensorLoss)
	}
	weighted := 0
	for _, w := range n.Loss {
		if w != 0 {
			weighted++
		}
	}
	for _, v := range env.Train {
		if !(n.Loss[v] > 0) {
			return formats.BadInput(path, "training node %d has loss weight %v, want a positive one", v, n.Loss[v])
		}
	}
	if weighted != len(env.Train) {
		return formats.BadInput(path, "%d nodes have a loss weight, but there are %d training nodes", weighted, len(env.Train))
	}
	return nil
}

// checksum covers the data of the tensors with those names, in the names' order.
func checksum(tensors []safetensors.Tensor, names ...string) string {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := uint32(0)
	for _, name := range names {
		for i := range tensors {
			if tensors[i].Name == name {
				sum = crc32.Update(sum, table, tensors[i].Data)
			}
		}
	}
	return fmt.Sprintf("%08x", sum)
}
