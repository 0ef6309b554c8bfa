package trainconfig

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/saint-gnn/saint/internal/suggest"
)

// Error is a mistake in a configuration, with its place. The command line maps it to exit
// code 2.
type Error struct {
	File      string
	Line, Col int // 1-based; 0: the whole file
	Msg       string
}

// Error returns file:line:col: message.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Msg
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.Msg)
}

func errorAt(file string, n *yaml.Node, format string, args ...any) *Error {
	return &Error{File: file, Line: n.Line, Col: n.Column, Msg: fmt.Sprintf(format, args...)}
}

// Section is one mapping of a configuration. Whoever owns keys of it decodes them; what is
// left in the end is an error. Not safe for concurrent use.
type Section struct {
	file  string
	where string // for messages, for example "phase 2"
	node  *yaml.Node
	known map[string]bool // keys that somebody decodes, present or not
}

func newSection(file, where string, node *yaml.Node) (*Section, error) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind != yaml.MappingNode {
		return nil, errorAt(file, node, "%s must be a mapping of keys to values", where)
	}
	seen := map[string]*yaml.Node{}
	for i := 0; i < len(node.Content); i += 2 {
		k := node.Content[i]
		if k.Kind != yaml.ScalarNode || k.Value == "" {
			return nil, errorAt(file, k, "%s has a key without a name", where)
		}
		if first, dup := seen[k.Value]; dup {
			return nil, errorAt(file, k, "key %q appears twice in %s, first in line %d", k.Value, where, first.Line)
		}
		seen[k.Value] = k
	}
	return &Section{file: file, where: where, node: node, known: map[string]bool{}}, nil
}

// Decode fills the fields of the struct that into points to from the keys named by their
// yaml tags and marks those keys as known. Absent keys leave a field as it is. Fields may
// be int, float64, float32, bool, string or a pointer to one (nil: absent).
func (s *Section) Decode(into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("trainconfig: Decode wants a pointer to a struct, got %T", into))
	}
	v = v.Elem()
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		s.known[name] = true
		node := s.value(name)
		if node == nil {
			continue
		}
		if err := s.set(v.Field(i), name, node); err != nil {
			return err
		}
	}
	return nil
}

// value returns the value node of key, or nil.
func (s *Section) value(key string) *yaml.Node {
	for i := 0; i < len(s.node.Content); i += 2 {
		if s.node.Content[i].Value == key {
			v := s.node.Content[i+1]
			if v.Kind == yaml.AliasNode {
				v = v.Alias
			}
			return v
		}
	}
	return nil
}

func (s *Section) set(field reflect.Value, key string, n *yaml.Node) error {
	if field.Kind() == reflect.Pointer {
		field.Set(reflect.New(field.Type().Elem()))
		field = field.Elem()
	}
	bad := func(want string) error {
		return errorAt(s.file, n, "%s: want %s, got %s", key, want, describe(n))
	}
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return bad(kindName(field.Kind()))
	}
	switch field.Kind() {
	case reflect.Int, reflect.Int64:
		i, err := strconv.ParseInt(strings.ReplaceAll(n.Value, "_", ""), 10, 64)
		if err != nil {
			return bad("an integer")
		}
		field.SetInt(i)
	case reflect.Float64, reflect.Float32:
		f, err := strconv.ParseFloat(strings.ReplaceAll(n.Value, "_", ""), 64)
		if err != nil || n.Tag == "!!str" || math.IsInf(f, 0) || math.IsNaN(f) {
			return bad("a finite number")
		}
		field.SetFloat(f)
	case reflect.Bool:
		var b bool
		if n.Tag != "!!bool" || n.Decode(&b) != nil {
			return bad("true or false")
		}
		field.SetBool(b)
	case reflect.String:
		field.SetString(n.Value)
	default:
		panic("trainconfig: field " + key + " has unsupported type " + field.Type().String())
	}
	return nil
}

func kindName(k reflect.Kind) string {
	switch k {
	case reflect.Int, reflect.Int64:
		return "an integer"
	case reflect.Float64, reflect.Float32:
		return "a finite number"
	case reflect.Bool:
		return "true or false"
	default:
		return "a text"
	}
}

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	if n.Tag == "!!null" {
		return "nothing"
	}
	return strconv.Quote(n.Value)
}

// Errorf returns an Error at the value of key (at the section if the key is absent).
func (s *Section) Errorf(key, format string, args ...any) error {
	n := s.value(key)
	if n == nil {
		n = s.node
	}
	return errorAt(s.file, n, format, args...)
}

// Values returns the section's keys and values as written, in the file's order.
func (s *Section) Values() [][2]string {
	var out [][2]string
	for i := 0; i+1 < len(s.node.Content); i += 2 {
		v := s.node.Content[i+1]
		if v.Kind == yaml.AliasNode {
			v = v.Alias
		}
		out = append(out, [2]string{s.node.Content[i].Value, v.Value})
	}
	return out
}

// foreign returns the keys and values that are not named by the yaml tags of own, a struct.
func (s *Section) foreign(own any) [][2]string {
	named := map[string]bool{}
	for i, t := 0, reflect.TypeOf(own); i < t.NumField(); i++ {
		named[t.Field(i).Tag.Get("yaml")] = true
	}
	return slices.DeleteFunc(s.Values(), func(kv [2]string) bool { return named[kv[0]] })
}

// Unused reports the first key that nobody decoded, with the nearest known one.
func (s *Section) Unused() error {
	for i := 0; i < len(s.node.Content); i += 2 {
		k := s.node.Content[i]
		if s.known[k.Value] {
			continue
		}
		hint := ""
		if near := suggest.Nearest(k.Value, slices.Sorted(maps.Keys(s.known))); near != "" {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		return errorAt(s.file, k, "unknown key %q in %s%s", k.Value, s.where, hint)
	}
	return nil
}
