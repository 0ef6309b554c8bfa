package edgelist

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/assemble"
	"github.com/saint-gnn/saint/formats/npy"
)

// Options say where everything is and how to read it.
type Options struct {
	assemble.Reports
	assemble.GraphOptions
	// Features is a file with an id and then numbers in every row, or a .npy matrix whose
	// rows are the nodes, so that ids are row numbers; empty: the number of neighbours.
	Features string
	// Labels is a file with id and label, or id and one 0/1 column a class, or a .npy array.
	Labels string
	// Split is a file with id and role, or fractions to draw (Split.Fractions), or a
	// role.json or role.npz if ids are row numbers.
	Split assemble.Split
	// Source, Target and Weight name columns of the list of edges, or number them from 1;
	// empty: src and dst or the like, else the first two. No Weight: none.
	Source, Target, Weight string
	Header                 Header
	Delimiter              byte // 0: guessed from the first line
}

// Result is a data set and what its numbers stand for.
type Result struct {
	Data *formats.RawDataset
	// IDs are the ids of the nodes in order; nil: they were row numbers already.
	IDs []string
	// LabelNames are the classes in order; nil: the labels were numbers or 0/1 columns.
	LabelNames []string
}

// reader holds what one call of Read has read so far.
type reader struct {
	ctx     context.Context
	options *Options
	text    textOptions
	ids     ids
	edges   []assemble.Edges // pieces of the list

	matrix    assemble.Matrix // features whose rows are the nodes
	features  []featureRows   // others
	featDim   int
	labels    formats.Labels
	labelled  []bool
	names     []string // of classes
	labelRows labelRows
	roles     map[int32]assemble.Role
}

// Read reads the list of edges at path and the files that o names. Errors about the content
// are *formats.InputError with the line or row.
func Read(ctx context.Context, path string, o Options) (*Result, error) {
	r := &reader{ctx: ctx, options: &o, text: textOptions{o.Header, o.Delimiter}}
	if o.Labels == "" {
		return nil, errors.New("no file of labels")
	}
	if err := r.readRows(); err != nil {
		return nil, err
	}
	if err := r.readEdges(path); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(r.edges, func(e assemble.Edges) bool { return len(e.Src) > 0 }) {
		return nil, formats.BadInput(path, "no edges")
	}
	if err := r.readTables(); err != nil {
		return nil, err
	}
	if r.ids.rows == 0 {
		r.renumber()
	}
	return r.assemble(path)
}

// readRows reads features and labels that are arrays with one row a node, which fix the
// number of nodes.
func (r *reader) readRows() error {
	if path := r.options.Features; strings.HasSuffix(path, ".npy") {
		m, err := assemble.ReadMatrix(path, &r.options.Reports)
		if err != nil {
			return err
		}
		if m.Rows == 0 {
			return formats.BadInput(path, "no rows")
		}
		r.matrix, r.ids.rows = m, m.Rows
	}
	if path := r.options.Labels; strings.HasSuffix(path, ".npy") {
		a, err := npy.ReadFile(path)
		if err != nil {
			return assemble.InFile(path, err)
		}
		shape := a.Shape()
		if len(shape) == 0 || shape[0] == 0 || shape[0] > assemble.MaxNodes {
			return formats.BadInput(path, "shape %v, want one row a node", shape)
		}
		if r.ids.rows == 0 {
			r.ids.rows = shape[0]
		}
		if r.labels, err = assemble.LabelsOf(path, a, r.ids.rows); err != nil {
			return err
		}
	}
	return nil
}

// readTables reads features, labels and roles that are tables with ids.
func (r *reader) readTables() error {
	o := r.options
	if o.Features != "" && r.matrix.Values == nil {
		if err := r.readFeatures(o.Features); err != nil {
			return err
		}
	}
	if r.labels.NumClasses == 0 {
		if err := r.readLabels(o.Labels); err != nil {
			return err
		}
	}
	if p := o.Split.Path; p != "" && !strings.HasSuffix(p, ".json") && !strings.HasSuffix(p, ".npz") {
		return r.readRoles(p)
	} else if p != "" && r.ids.rows == 0 {
		return formats.BadInput(p, "a role file numbers the nodes, but here they have names; give rows of id and role instead")
	}
	return nil
}

// column returns the position that want names among the columns.
func column(names []string, count int, want string, usual []string, otherwise int) (int, error) {
	if want != "" {
		if i := slices.Index(names, want); i >= 0 {
			return i, nil
		}
		if i, err := strconv.Atoi(want); err == nil && i >= 1 && i <= count {
			return i - 1, nil
		}
		if names == nil {
			return 0, fmt.Errorf("no column %q: the file has no header (--header yes says that it has)", want)
		}
		// Quoted, since names may hold anything but are part of one line.
		return 0, fmt.Errorf("no column %q; there are %.40q", want, names[:min(20, len(names))])
	}
	for i, name := range names {
		if slices.Contains(usual, strings.ToLower(name)) {
			return i, nil
		}
	}
	if otherwise >= count {
		return 0, fmt.Errorf("%s, want at least %d", columns(count), otherwise+1)
	}
	return otherwise, nil
}

func isNumberOrEmpty(words ...string) bool {
	for _, w := range words {
		if _, err := strconv.Atoi(w); err != nil && w != "" {
			return false
		}
	}
	return true
}

// idFirst chooses the column of ids first and then all others, at least one.
func idFirst(names []string, count int) ([]int, error) {
	id, err := column(names, count, "", []string{"id", "node", "node_id", "nodeid"}, 0)
	if err != nil {
		return nil, err
	}
	if count < 2 {
		return nil, fmt.Errorf("%s, want an id and at least one more", columns(count))
	}
	positions := []int{id}
	for i := range count {
		if i != id {
			positions = append(positions, i)
		}
	}
	return positions, nil
}

// eachNode calls take for every row of a file that begins with a node id, at most one row a
// node.
func (r *reader) eachNode(path string, take func(v int32, line row, width int) error) error {
	width := 0
	var seen nodeSet
	return eachRow(r.ctx, path, r.text, func(names []string, count int) ([]int, error) {
		width = count - 1
		return idFirst(names, count)
	}, func(line row) error {
		id, err := line.text(0)
		if err != nil {
			return err
		}
		v, err := r.ids.intern(id)
		if err != nil {
			return line.errorf("%w", err)
		}
		if !seen.add(v) {
			return line.errorf("node %.40q comes twice", id)
		}
		r.ids.note([]int32{v})
		return take(v, line, width)
	})
}

// labelRows are labels as they were read.
type labelRows struct {
	nodes  []int32
	words  []string // single-label data
	values []uint8  // multi-label data
	width  int
}

func (r *reader) readLabels(path string) error {
	l := &r.labelRows
	return r.eachNode(path, func(v int32, line row, width int) error {
		l.width = width
		l.nodes = append(l.nodes, v)
		for i := range width {
			word, err := line.text(i + 1)
			switch {
			case err != nil:
				return err
			case width == 1:
				l.words = append(l.words, string(word))
			case len(word) == 1 && (word[0] == '0' || word[0] == '1'):
				l.values = append(l.values, word[0]-'0')
			default:
				return line.errorf("class column %d is %.40q, want 0 or 1", i+1, word)
			}
		}
		return nil
	})
}

func (r *reader) readRoles(path string) error {
	r.roles = map[int32]assemble.Role{}
	return r.eachNode(path, func(v int32, line row, _ int) error {
		word, err := line.text(1)
		if err != nil {
			return err
		}
		role, ok := assemble.ParseRole(string(word))
		if !ok {
			return line.errorf("role %.40q, want train, val or test", word)
		}
		r.roles[v] = role
		return nil
	})
}

// assemble puts the data set together.
func (r *reader) assemble(path string) (*Result, error) {
	o, n := r.options, r.ids.count()
	raw := &formats.RawDataset{Name: strings.SplitN(filepath.Base(path), ".", 2)[0]}
	g, counts, err := assemble.GraphOf(r.ctx, n, r.edges, o.GraphOptions)
	if err != nil {
		return nil, assemble.InFile(path, err)
	}
	raw.Full = g
	o.WarnGraph(path, counts, o.GraphOptions)
	o.WarnDirected(path, g, o.GraphOptions)
	if r.labels.NumClasses == 0 {
		if err := r.placeLabels(n); err != nil {
			return nil, assemble.InFile(o.Labels, err)
		}
	}
	raw.Labels = r.labels
	if err := r.placeFeatures(raw); err != nil {
		return nil, err
	}
	if err := r.placeRoles(raw); err != nil {
		return nil, err
	}
	raw, err = assemble.Dataset(raw, map[formats.Part]string{
		formats.PartFull: path, formats.PartTrain: path, formats.PartLabels: o.Labels,
		formats.PartFeatures: o.Features, formats.PartRoles: o.Split.Name(o.Labels),
	})
	if err != nil {
		return nil, err
	}
	return &Result{Data: raw, IDs: r.ids.names, LabelNames: r.names}, nil
}

// name returns the id of a node for messages.
func (r *reader) name(v int) string {
	if r.ids.rows > 0 {
		return strconv.Itoa(v)
	}
	return fmt.Sprintf("%.40q", r.ids.names[v])
}

// placeLabels turns words into classes: whole numbers stay, other words are numbered in
// ascending order.
func (r *reader) placeLabels(n int) error {
	l := &r.labelRows
	r.labelled = make([]bool, n)
	if l.width > 1 {
		if l.width*n > 16*len(l.values)+1<<30 {
			return fmt.Errorf("%d classes for %d nodes, but only %d rows of labels", l.width, n, len(l.nodes))
		}
		rows := make([]uint8, n*l.width)
		for i, v := range l.nodes {
			copy(rows[int(v)*l.width:], l.values[i*l.width:(i+1)*l.width])
			r.labelled[v] = true
		}
		r.labels = formats.Labels{NumClasses: l.width, Multi: rows}
		return nil
	}
	values := make([]int64, n)
	for v := range values {
		values[v] = assemble.Unlabelled
	}
	numbers, words := r.classNumbers()
	for i, v := range l.nodes {
		values[v] = numbers[i]
		r.labelled[v] = numbers[i] != assemble.Unlabelled
	}
	r.names = words
	var err error
	r.labels, err = assemble.Classes(values)
	return err
}

// classNumbers returns the class of every row of labels, and the words if they are none.
func (r *reader) classNumbers() (numbers []int64, words []string) {
	l := &r.labelRows
	numbers = make([]int64, len(l.words))
	for i, word := range l.words {
		v, err := strconv.ParseInt(word, 10, 64)
		if word == "" || word == "-1" {
			v, err = assemble.Unlabelled, nil
		}
		if err != nil {
			words = append(words, word)
		}
		numbers[i] = v
	}
	if words == nil {
		return numbers, nil
	}
	words = slices.DeleteFunc(slices.Clone(l.words), func(w string) bool { return w == "" })
	slices.Sort(words)
	words = slices.Compact(words)
	for i, word := range l.words {
		numbers[i] = assemble.Unlabelled
		if at, ok := slices.BinarySearch(words, word); ok && word != "" {
			numbers[i] = int64(at)
		}
	}
	return numbers, words
}

// placeRoles sets the roles; nodes without a label get none.
func (r *reader) placeRoles(raw *formats.RawDataset) error {
	n := raw.Full.NumNodes()
	labelled := assemble.Labelled(&raw.Labels, n, r.labelled)
	r.warnAlone(raw.Full, labelled)
	if r.roles == nil {
		return r.options.Split.Apply(raw, labelled)
	}
	role, lost := make([]assemble.Role, n), 0
	has := make([]bool, n)
	for _, v := range labelled {
		has[v] = true
	}
	for v, x := range r.roles {
		if x != assemble.NoRole && !has[v] {
			lost++
			continue
		}
		role[v] = x
	}
	if lost > 0 {
		r.options.Warnf("%s: %d nodes have a role but no label, and lose the role", r.options.Split.Path, lost)
	}
	roles := assemble.RolesOf(role)
	raw.TrainNodes, raw.ValNodes, raw.TestNodes = roles.Train, roles.Val, roles.Test
	return nil
}

// warnAlone says how many labelled nodes no edge names: files whose ids do not match fit
// together without any other sign.
func (r *reader) warnAlone(g *formats.Graph, labelled []int32) {
	named := make([]bool, g.NumNodes())
	for v := range named {
		if g.Indptr[v] < g.Indptr[v+1] {
			named[v] = true
		}
	}
	for _, v := range g.Indices {
		named[v] = true
	}
	alone := 0
	for _, v := range labelled {
		if !named[v] {
			alone++
		}
	}
	if alone > 0 {
		r.options.Warnf("%s: %d of %d labelled nodes have no edge; are its ids those of the edges?", r.options.Labels, alone, len(labelled))
	}
}
