package samplertest

import (
	"fmt"
	"reflect"
)

// Params is a [samplers.Params] out of a map from YAML keys to values, for tests.
type Params map[string]int64

// Decode sets the fields of the struct that into points to: int64 or *int64 fields whose
// yaml tag is a key of the map. It fails on keys that no field has.
func (p Params) Decode(into any) error {
	v := reflect.ValueOf(into).Elem()
	known := map[string]bool{}
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("yaml")
		known[key] = true
		value, ok := p[key]
		if !ok {
			continue
		}
		switch f := v.Field(i); f.Kind() {
		case reflect.Pointer:
			f.Set(reflect.ValueOf(&value))
		default:
			f.SetInt(value)
		}
	}
	for key := range p {
		if !known[key] {
			return fmt.Errorf("unknown key %q", key)
		}
	}
	return nil
}
