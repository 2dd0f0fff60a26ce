// Package strict reads TOML that people write, and refuses what it does not know by naming the
// line and the nearest key that it does.
package strict

import (
	"errors"
	"reflect"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/cyclops-fpga/cyclops/executor/api"
)

// MaxSize is the largest document in bytes: no person writes a longer one.
const MaxSize = 1 << 20

// Decode reads data into the struct that into points to. name is the file's name in the error,
// which is of the kind api.Usage.
func Decode(name string, data []byte, into any) error {
	if len(data) > MaxSize {
		return api.Errorf(api.Usage, "", "unable to read %s: %d bytes are more than %d", name, len(data), MaxSize)
	}
	dec := toml.NewDecoder(strings.NewReader(string(data))).DisallowUnknownFields()
	err := dec.Decode(into)
	var missing *toml.StrictMissingError
	if errors.As(err, &missing) && len(missing.Errors) > 0 {
		return unknown(name, &missing.Errors[0], reflect.TypeOf(into))
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		row, _ := bad.Position()
		return api.Errorf(api.Usage, "", "unable to read %s, line %d: %s", name, row, strings.TrimPrefix(bad.Error(), "toml: "))
	}
	if err != nil {
		return api.Errorf(api.Usage, "", "unable to read %s: %w", name, err)
	}
	return nil
}

func unknown(name string, at *toml.DecodeError, t reflect.Type) error {
	row, _ := at.Position()
	key := at.Key()
	hint := ""
	if len(key) > 0 {
		if near := Nearest(key[len(key)-1], keysAt(t, key[:len(key)-1])); near != "" {
			hint = "did you mean " + near + "?"
		}
	}
	return api.Errorf(api.Usage, hint, "unable to read %s, line %d: unknown key %s", name, row, strings.Join(key, "."))
}

// keysAt lists the keys that the table at path knows.
func keysAt(t reflect.Type, path []string) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	switch {
	case t.Kind() == reflect.Map && len(path) > 0:
		return keysAt(t.Elem(), path[1:])
	case t.Kind() != reflect.Struct:
		return nil
	}
	var names []string
	for i := range t.NumField() {
		f := t.Field(i)
		key := keyOf(f)
		if key == "" {
			continue
		}
		if len(path) > 0 && strings.EqualFold(key, path[0]) {
			return keysAt(f.Type, path[1:])
		}
		names = append(names, key)
	}
	if len(path) > 0 {
		return nil
	}
	return names
}

func keyOf(f reflect.StructField) string {
	tag, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
	if !f.IsExported() || tag == "-" {
		return ""
	}
	if tag != "" {
		return tag
	}
	return f.Name
}
