package remote

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// The columns of a stream that are left out unless a ticket asks for them.
const (
	ColumnEdgeIDs  = "edge_ids"
	ColumnFeatures = "features"
)

// Bounds of what a client may say.
const (
	maxTicket = 4 << 10 // bytes
	maxName   = 255     // bytes of a data set's name
	maxShards = math.MaxInt64
)

// Ticket names a stream of batches: those with From <= index < To (To 0: no end) and index
// modulo Shards equal to Shard. docs/formats/batch.md describes its JSON.
type Ticket struct {
	Dataset       string
	Phase         int
	Seed          uint64
	From, To      uint64
	Shard, Shards uint64 // Shards 0 means 1
	// Features and EdgeIDs ask for the columns of these names.
	Features, EdgeIDs bool
}

// Encode returns the ticket as JSON with all keys in a fixed order.
func (t *Ticket) Encode() []byte {
	name, _ := json.Marshal(t.Dataset) // a string always has a JSON form
	columns := "[]"
	switch {
	case t.EdgeIDs && t.Features:
		columns = `["edge_ids","features"]`
	case t.EdgeIDs:
		columns = `["edge_ids"]`
	case t.Features:
		columns = `["features"]`
	}
	return fmt.Appendf(nil, `{"dataset":%s,"phase":%d,"seed":%d,"from":%d,"to":%d,"shard":%d,"shards":%d,"columns":%s}`,
		name, t.Phase, t.Seed, t.From, t.To, t.Shard, max(1, t.Shards), columns)
}

// ParseTicket reads a ticket from untrusted bytes: one JSON object of at most 4096 bytes, with
// each key at most once, no others, and whole numbers in range. dataset is required; seed is 1
// and the rest 0 or empty where left out. The error names the key.
func ParseTicket(b []byte) (Ticket, error) {
	t := Ticket{Seed: 1, Shards: 1}
	err := parseObject(b, map[string]func(*json.Decoder) error{
		"dataset": text(&t.Dataset),
		"phase":   number(func(n uint64) { t.Phase = int(n) }, math.MaxInt32),
		"seed":    number(func(n uint64) { t.Seed = n }, math.MaxUint64),
		"from":    number(func(n uint64) { t.From = n }, math.MaxUint64),
		"to":      number(func(n uint64) { t.To = n }, math.MaxUint64),
		"shard":   number(func(n uint64) { t.Shard = n }, maxShards-1),
		"shards":  number(func(n uint64) { t.Shards = n }, maxShards),
		"columns": t.columns,
	})
	switch {
	case err != nil:
		return Ticket{}, err
	case t.Dataset == "":
		return Ticket{}, errors.New("dataset is missing")
	case t.To != 0 && t.From > t.To:
		return Ticket{}, fmt.Errorf("from is %d, want at most to, %d", t.From, t.To)
	case t.Shards == 0:
		return Ticket{}, errors.New("shards is 0, want 1 or more")
	case t.Shard >= t.Shards:
		return Ticket{}, fmt.Errorf("shard is %d of %d, want 0 to %d", t.Shard, t.Shards, t.Shards-1)
	}
	return t, nil
}

// parseObject reads a flat JSON object strictly, which encoding/json by itself does not: it
// matches keys in any case and lets a later one replace an earlier one.
func parseObject(b []byte, keys map[string]func(*json.Decoder) error) error {
	if len(b) > maxTicket {
		return fmt.Errorf("%d bytes, want at most %d", len(b), maxTicket)
	}
	if !utf8.Valid(b) {
		return errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.New("want a JSON object")
	}
	var seen []string
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return badJSON(err)
		}
		key, _ := t.(string)
		read := keys[key]
		switch {
		case read == nil:
			return fmt.Errorf("unknown key %.40q", key)
		case slices.Contains(seen, key):
			return fmt.Errorf("key %s stands twice", key)
		}
		seen = append(seen, key)
		if err := read(d); err != nil {
			return fmt.Errorf("%s %w", key, err)
		}
	}
	if _, err := d.Token(); err != nil {
		return badJSON(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON object")
	}
	return nil
}

func badJSON(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("is not valid JSON: it ends early")
	}
	return fmt.Errorf("is not valid JSON: %w", err)
}

func text(into *string) func(*json.Decoder) error {
	return func(d *json.Decoder) error {
		t, err := d.Token()
		if err != nil {
			return badJSON(err)
		}
		s, ok := t.(string)
		if !ok || s == "" || len(s) > maxName {
			return fmt.Errorf("is not a text of 1 to %d bytes", maxName)
		}
		*into = s
		return nil
	}
}

func number(set func(uint64), most uint64) func(*json.Decoder) error {
	return func(d *json.Decoder) error {
		t, err := d.Token()
		if err != nil {
			return badJSON(err)
		}
		s, ok := t.(json.Number)
		n, err := strconv.ParseUint(string(s), 10, 64)
		if !ok || err != nil || n > most {
			return fmt.Errorf("is %.40q, want a whole number from 0 to %d", fmt.Sprint(t), most)
		}
		set(n)
		return nil
	}
}

func (t *Ticket) columns(d *json.Decoder) error {
	if open, err := d.Token(); err != nil || open != json.Delim('[') {
		return errors.New("is not a list of column names")
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return badJSON(err)
		}
		var asked *bool
		switch name {
		case ColumnEdgeIDs:
			asked = &t.EdgeIDs
		case ColumnFeatures:
			asked = &t.Features
		default:
			return fmt.Errorf("has %.40q, want %s and %s", fmt.Sprint(name), ColumnEdgeIDs, ColumnFeatures)
		}
		if *asked {
			return fmt.Errorf("has %s twice", name)
		}
		*asked = true
	}
	if _, err := d.Token(); err != nil {
		return badJSON(err)
	}
	return nil
}
