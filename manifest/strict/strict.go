// Package strict reads TOML that a person wrote: an unknown key is an error that names its
// line and the nearest key that exists.
package strict

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// MaxSize bounds a file in bytes; a configuration is never that large.
const MaxSize = 1 << 20

// Error says what is wrong with a file and where.
type Error struct {
	File    string
	Line    int // from 1; 0 when not known
	Message string
	Nearest string // the known key that an unknown one was perhaps meant to be
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Message)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Message)
}

// Hint says what to write instead, or nothing.
func (e *Error) Hint() string {
	if e.Nearest == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", e.Nearest)
}

// Decode reads data, the content of file, into the struct that v points to.
func Decode(file string, data []byte, v any) error {
	if len(data) > MaxSize {
		return &Error{File: file, Message: fmt.Sprintf("%d bytes are more than the limit of %d", len(data), MaxSize)}
	}
	err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(v)
	var unknown *toml.StrictMissingError
	var bad *toml.DecodeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &unknown) && len(unknown.Errors) > 0:
		return unknownKey(file, &unknown.Errors[0], v)
	case errors.As(err, &bad):
		row, _ := bad.Position()
		return &Error{File: file, Line: row, Message: strings.TrimPrefix(bad.Error(), "toml: ")}
	}
	return &Error{File: file, Message: strings.TrimPrefix(err.Error(), "toml: ")}
}

func unknownKey(file string, e *toml.DecodeError, v any) error {
	row, _ := e.Position()
	key := e.Key()
	known, depth := keysAt(reflect.TypeOf(v), key)
	name := key[min(depth, len(key)-1)]
	return &Error{
		File:    file,
		Line:    row,
		Message: fmt.Sprintf("unknown key %q", strings.Join(key[:min(depth+1, len(key))], ".")),
		Nearest: nearest(name, known),
	}
}

// keysAt follows key through the type as far as it is known, and returns the keys that exist
// where it stops being known, and how deep that is.
func keysAt(t reflect.Type, key []string) (known []string, depth int) {
	for depth = 0; depth < len(key); depth++ {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		switch t.Kind() {
		case reflect.Map:
			t = t.Elem()
			continue
		case reflect.Struct:
		default:
			return nil, depth
		}
		fields := tomlFields(t)
		f, ok := fields[key[depth]]
		if !ok {
			return append(slices.Collect(maps.Keys(fields)), nestedKeys(fields)...), depth
		}
		t = f
	}
	return nil, depth - 1
}

// nestedKeys are those of tables in arrays: go-toml leaves the array out of a key within an
// inline table.
func nestedKeys(fields map[string]reflect.Type) (keys []string) {
	for _, t := range fields {
		if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct {
			keys = slices.AppendSeq(keys, maps.Keys(tomlFields(t.Elem())))
		}
	}
	return keys
}

func tomlFields(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("toml"), ",")
		if name != "" && name != "-" {
			fields[name] = t.Field(i).Type
		}
	}
	return fields
}

// nearest returns the known word with the fewest edits from word, if that is few enough to be a slip.
func nearest(word string, known []string) string {
	best, found := 1+max(2, len(word)/3), ""
	for _, k := range known {
		if d := distance(word, k); d < best || d == best && found != "" && k < found {
			best, found = d, k
		}
	}
	return found
}

// distance counts the insertions, deletions, replacements and swaps of neighbours that turn a into b.
func distance(a, b string) int {
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := last[j]
			if a[i] != b[j] {
				cost++
			}
			row[j+1] = min(cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
